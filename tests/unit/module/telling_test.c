/* The order in which the store `redis` tells the changes of the partitions of a cluster, even if
 * one comes while another is being told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "answers.h"
#include "catching_up.h"
#include "lease.h"
#include "record.h"
#include "telling.h"
#include "worker.h"

enum {
    N_SHARDS = 2
};

static struct cluster cluster;
static struct kv_store parts[N_SHARDS];
static uint64_t late; /* reported during the first change; 0: none */
static uint64_t revision_at_resync;
static int64_t woken_at;
static char log_text[512];

/* ---- memory ---- */

static bool has_no_memory;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
    return has_no_memory ? NULL : __real_calloc(n, size);
}

/* ---- what telling.c needs of other files ---- */

void answers_drop_result(struct job *job)
{
    (void)job;
}

void catching_up_take(const struct cluster *whole, const struct job *job)
{
    (void)whole;
    (void)job;
}

void worker_wake(struct kv_store *store)
{
    (void)store;
}

bool lease_is_held(const struct kv_store *store)
{
    (void)store;
    return false;
}

/* ---- the host ---- */

static void line_up(uint32_t part, uint64_t revision)
{
    struct record *record = record_create(KV_SLICE("key"), KV_SLICE("1"));
    struct kv_change change = {.reason = KV_REASON_SET,
                               .revision = revision,
                               .key = record_key(record),
                               .after = {.revision = revision, .ref = record}};
    telling_line_up(&cluster.shards[part], &change, false);
    record_unref(record);
}

static void note(const char *what)
{
    size_t len = strlen(log_text);
    snprintf(log_text + len, sizeof(log_text) - len, "%s ", what);
}

static void note_revision(uint64_t revision)
{
    char text[24];
    snprintf(text, sizeof(text), "%ju", (uintmax_t)revision);
    note(text);
}

static void changed(const struct kv_store_host *host, uint32_t part, const struct kv_change *change)
{
    (void)host;
    (void)part;
    assert_true(cluster.told < change->revision);
    assert_true(cluster.newest >= change->revision);
    note_revision(change->revision);
    if (late != 0)
        line_up(1, late);
    late = 0;
}

static void resync(const struct kv_store_host *host, uint32_t part)
{
    (void)host;
    (void)part;
    revision_at_resync = cluster.newest;
    note("resync");
}

static void wake_at(const struct kv_store_host *host, uint32_t part, int64_t deadline_ms)
{
    (void)host;
    (void)part;
    woken_at = deadline_ms;
    note("wake");
}

static const struct kv_store_host host = {.changed = changed, .resync = resync, .wake_at = wake_at};

/* ---- tests ---- */

static int set_up(void **state)
{
    (void)state;
    cluster = (struct cluster){
        .host = &host, .n_shards = N_SHARDS, .is_open = true, .timeout_ms = INT64_MAX};
    pthread_mutex_init(&cluster.lock, NULL);
    pthread_cond_init(&cluster.is_work, NULL);
    for (uint32_t i = 0; i < N_SHARDS; i++) {
        parts[i] = (struct kv_store){.part = i};
        cluster.shards[i] = (struct shard){.cluster = &cluster, .store = &parts[i]};
        assert_true(telling_init(&cluster.shards[i]));
    }
    has_no_memory = false;
    log_text[0] = '\0';
    late = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < N_SHARDS; i++)
        telling_clear(&cluster.shards[i]);
    pthread_cond_destroy(&cluster.is_work);
    pthread_mutex_destroy(&cluster.lock);
    return 0;
}

/* All partitions have passed everything that is in line; then the thread's work is done once. */
static void tell_all(void)
{
    for (uint32_t i = 0; i < N_SHARDS; i++)
        telling_pass(&cluster.shards[i], 1000);
    cluster.is_closing = true;
    telling_run(&cluster);
}

static void changes_are_told_in_the_order_of_revisions(void **state)
{
    (void)state;
    line_up(0, 10);
    line_up(0, 30);
    line_up(1, 20);
    tell_all();
    assert_string_equal(log_text, "10 20 30 ");
    assert_int_equal(cluster.told, 30);
}

static void a_change_is_not_told_behind_one_with_a_larger_revision(void **state)
{
    (void)state;
    line_up(0, 10);
    line_up(0, 30);
    late = 20;
    tell_all();
    tell_all();
    assert_string_equal(log_text, "10 30 resync ");
    assert_true(cluster.told > 30);
}

static void resync_in_the_middle(void)
{
    line_up(0, 10);
    line_up(1, 11);
    line_up(0, 20);
    telling_line_up_resync(&cluster.shards[0]);
}

/* So a client that was shown the last change does not resume behind it as if it still existed. */
static void a_resync_is_told_with_a_revision_of_its_own(void **state)
{
    (void)state;
    resync_in_the_middle();
    tell_all();
    assert_string_equal(log_text, "10 11 20 resync ");
    assert_true(revision_at_resync > 20);
    assert_int_equal(cluster.newest, revision_at_resync);
}

/* Another server may have told them. */
static void a_resync_is_above_changes_that_were_not_taken(void **state)
{
    (void)state;
    parts[0].newest = 500;
    resync_in_the_middle();
    line_up(1, 400);
    line_up(1, 600);
    tell_all();
    assert_string_equal(log_text, "10 11 20 400 resync 600 ");
    assert_in_range(revision_at_resync, 501, 599);
}

static void a_resync_is_above_changes_that_come_first(void **state)
{
    (void)state;
    resync_in_the_middle();
    line_up(1, 21);
    tell_all();
    assert_string_equal(log_text, "10 11 20 21 resync ");
    assert_true(revision_at_resync > 21);
}

static void larger_changes_follow_a_resync(void **state)
{
    (void)state;
    resync_in_the_middle();
    line_up(0, 30);
    line_up(1, 40);
    tell_all();
    assert_string_equal(log_text, "10 11 20 resync 30 40 ");
    assert_in_range(revision_at_resync, 21, 29);
}

/* Redis has lost the change 20, and gives its revision away again, before the loss is told. */
static void a_lost_revision_is_not_told_again_behind_the_resync(void **state)
{
    (void)state;
    resync_in_the_middle();
    line_up(0, 18);
    line_up(0, 20);
    line_up(0, 30);
    tell_all();
    assert_string_equal(log_text, "10 11 20 resync 30 ");
}

/* Redis has lost more, which another server may have told, before the first loss is told. */
static void a_resync_that_waits_is_above_later_losses(void **state)
{
    (void)state;
    resync_in_the_middle();
    parts[0].newest = 500;
    telling_line_up_resync(&cluster.shards[0]);
    line_up(0, 400);
    line_up(0, 600);
    tell_all();
    assert_string_equal(log_text, "10 11 20 resync 600 ");
    assert_in_range(revision_at_resync, 501, 599);
}

/* Otherwise each change that comes too early would move it, and with it the changes behind it. */
static void a_resync_that_waits_stays_in_its_place(void **state)
{
    (void)state;
    resync_in_the_middle();
    for (int i = 0; i < 10; i++)
        telling_line_up_resync(&cluster.shards[0]);
    line_up(0, 22);
    tell_all();
    assert_string_equal(log_text, "10 11 20 resync 22 ");
    assert_int_equal(revision_at_resync, 21);
}

/* A change of another partition comes in between, and moves the resync on. */
static void a_resync_shows_the_change_whose_revision_it_gets(void **state)
{
    (void)state;
    resync_in_the_middle();
    line_up(1, 21);
    line_up(0, 22);
    telling_hold(&cluster.shards[0], &(struct job){.kind = JOB_WAKE});
    line_up(0, 30);
    tell_all();
    assert_string_equal(log_text, "10 11 20 21 resync 30 wake ");
    assert_int_equal(revision_at_resync, 22);
}

static void a_resync_does_not_stand_in_for_the_next_one(void **state)
{
    (void)state;
    resync_in_the_middle();
    line_up(1, 21);
    line_up(0, 22);
    telling_line_up_resync(&cluster.shards[0]);
    telling_hold(&cluster.shards[0], &(struct job){.kind = JOB_WAKE});
    tell_all();
    assert_string_equal(log_text, "10 11 20 21 resync resync wake ");
    assert_int_equal(revision_at_resync, 23);
}

static void results_wait_for_the_resync_before_them(void **state)
{
    (void)state;
    telling_pass(&cluster.shards[0], 20);
    telling_line_up_resync(&cluster.shards[0]);
    telling_hold(&cluster.shards[0], &(struct job){.kind = JOB_WAKE});
    cluster.is_closing = true;
    telling_run(&cluster);
    assert_string_equal(log_text, "");
    tell_all();
    assert_string_equal(log_text, "resync wake ");
}

/* As many as there is room for, and more. */
static void changes_without_memory_become_a_resync(void **state)
{
    (void)state;
    has_no_memory = true;
    for (uint64_t i = 1; i <= 100; i++) {
        parts[0].newest = i;
        line_up(0, i);
    }
    has_no_memory = false;
    tell_all();
    assert_non_null(strstr(log_text, "62 63 resync "));
    assert_int_equal(revision_at_resync, 101);
}

static void wake_at_deadline(int64_t deadline_ms)
{
    telling_hold(&cluster.shards[0], &(struct job){.kind = JOB_WAKE, .deadline_ms = deadline_ms});
}

/* Otherwise clients that set deadlines again and again fill the memory while a master is away. */
static void deadlines_that_wait_for_the_same_change_are_one(void **state)
{
    (void)state;
    line_up(0, 10);
    for (int i = 0; i < 1000; i++)
        wake_at_deadline(5000 - i);
    wake_at_deadline(6000);
    assert_int_equal(cluster.shards[0].held.n, 1);
    tell_all();
    assert_string_equal(log_text, "10 wake ");
    assert_int_equal(woken_at, 4001);
}

static void deadlines_do_not_wait_for_later_changes(void **state)
{
    (void)state;
    line_up(0, 10);
    wake_at_deadline(5000);
    line_up(0, 20);
    wake_at_deadline(4000);
    assert_int_equal(cluster.shards[0].held.n, 2);
    tell_all();
    assert_string_equal(log_text, "10 20 wake wake ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(changes_are_told_in_the_order_of_revisions, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_change_is_not_told_behind_one_with_a_larger_revision,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_resync_is_told_with_a_revision_of_its_own, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_resync_is_above_changes_that_were_not_taken, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_resync_is_above_changes_that_come_first, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(larger_changes_follow_a_resync, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_revision_is_not_told_again_behind_the_resync, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_resync_that_waits_is_above_later_losses, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_resync_that_waits_stays_in_its_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_resync_shows_the_change_whose_revision_it_gets, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_resync_does_not_stand_in_for_the_next_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(results_wait_for_the_resync_before_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changes_without_memory_become_a_resync, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deadlines_that_wait_for_the_same_change_are_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(deadlines_do_not_wait_for_later_changes, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
