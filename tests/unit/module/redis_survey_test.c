/* How the store `redis` looks at the partitions of a cluster before it opens them, and accepts a
 * loss, without a Redis. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "nodes.h"
#include "session.h"
#include "split.h"
#include "survey.h"

enum {
    N_PARTS = 6,
    N_NODES = 2,
};

#define EPOCH "0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210"

static struct kv_store stores[N_PARTS];
static struct kv_store *parts[N_PARTS];
static struct found there[N_PARTS]; /* in Redis */
static size_t n_visits, n_looks, n_adopted, n_refused, n_split;
static int64_t now_ms;

/* ---- what survey.c needs of other files ---- */

int64_t link_clock_ms(void)
{
    return now_ms++;
}

static uint32_t node_of(const struct kv_store *part)
{
    return part->part % N_NODES;
}

int session_visit(struct kv_store *store, int (*act)(const struct attempt *attempt, void *context),
                  void *context, struct kv_error *reterr)
{
    n_visits++;
    return act(&(struct attempt){.store = store, .reterr = reterr}, context);
}

int nodes_find_beside(const struct attempt *attempt, struct kv_store *const *all, uint32_t n,
                      bool *ret_are_beside)
{
    for (uint32_t i = 0; i < n; i++)
        ret_are_beside[i] = all[i] != attempt->store && node_of(all[i]) == node_of(attempt->store);
    return 0;
}

int finding_look(const struct attempt *attempt, struct found *ret)
{
    n_looks++;
    if (n_refused > 0 && attempt->store->part == N_PARTS - 1)
        return n_refused--, -1;
    *ret = there[attempt->store->part];
    return 0;
}

static size_t count(const char *epoch)
{
    size_t n = 0;
    for (uint32_t i = 0; i < N_PARTS; i++)
        n += there[i].is_described && strcmp(there[i].epoch, epoch) == 0;
    return n;
}

/* The server may die just before: the next one has to find the accepted epoch. */
int finding_adopt(const struct attempt *attempt, const char *epoch,
                  const struct placement *placement)
{
    struct found *found = &there[attempt->store->part];
    assert_true(count(EPOCH) > 0);
    *found = (struct found){.is_described = true,
                            .has_newest = true,
                            .has_keys = found->has_keys,
                            .placement = *placement};
    snprintf(found->epoch, KV_EPOCH_MAX, "%s", epoch);
    n_adopted++;
    return 0;
}

int finding_miss(struct kv_store *store, struct kv_error *reterr)
{
    (void)store;
    return kv_error_set(reterr, "there is no store");
}

/* All is there again once the slot is whole. */
int split_look_at_all(struct kv_store *const *all, uint32_t n, struct kv_error *reterr)
{
    assert_ptr_equal(all, parts);
    assert_int_equal(n, N_PARTS);
    if (n_split == 0)
        return 0;
    if (--n_split == 0)
        there[1] = there[0];
    return kv_error_set(reterr, "a slot is split");
}

int finding_end_making(const struct attempt *attempt)
{
    (void)attempt;
    return 0;
}

/* ---- the partitions ---- */

KV_PRINTF(3, 4)
static void log_line(const struct kv_host *host, enum kv_log_level level, const char *format, ...)
{
    (void)host;
    (void)level;
    (void)format;
}

static const struct kv_store_host host = {.base = {.log = log_line}};
static struct opening opening;

static int set_up(void **state)
{
    (void)state;
    n_visits = n_looks = n_adopted = n_refused = n_split = 0;
    for (uint32_t i = 0; i < N_PARTS; i++) {
        stores[i] =
            (struct kv_store){.host = &host, .part = i, .n_parts = N_PARTS, .opening = &opening};
        stores[i].settings.timeout_ms = 1000;
        stores[i].settings.accept_loss = KV_SLICE(EPOCH);
        parts[i] = &stores[i];
        there[i] = (struct found){.is_described = true, .has_newest = true, .epoch = EPOCH};
        there[i].placement.has_seed = true;
    }
    return 0;
}

static void look_at_all(void)
{
    struct kv_error error = {0};
    assert_int_equal(survey_partitions(parts, N_PARTS, &error), 0);
}

static void each_node_is_visited_once(void **state)
{
    (void)state;
    look_at_all();
    assert_int_equal(n_visits, N_NODES);
    assert_int_equal(n_looks, N_PARTS);
}

static void what_is_missing_while_a_slot_is_split_is_not_lost(void **state)
{
    (void)state;
    n_split = 3;
    there[1] = (struct found){0};
    look_at_all();
    assert_int_equal(n_adopted, 0);
}

static void a_slot_that_stays_split_is_refused(void **state)
{
    struct kv_error error = {0};
    (void)state;
    n_split = SIZE_MAX;
    parts[0]->settings.timeout_ms = 20;
    assert_int_equal(survey_partitions(parts, N_PARTS, &error), -1);
    assert_string_equal(error.text, "a slot is split");
}

static int read_missing(bool is_being_made)
{
    struct kv_error error = {0};
    for (uint32_t i = is_being_made; i < N_PARTS; i++)
        there[i] = (struct found){0};
    there[0].is_being_made = is_being_made;
    parts[0]->is_read_only = true;
    return survey_partitions(parts, N_PARTS, &error);
}

static void a_reader_does_not_wait_for_a_store_that_nobody_makes(void **state)
{
    (void)state;
    assert_int_equal(read_missing(true), 0);
    assert_int_equal(read_missing(false), -1);
    assert_int_equal(n_visits, 2 * N_NODES);
}

static void a_partition_that_cannot_be_looked_at_is_looked_at_again(void **state)
{
    (void)state;
    n_refused = 3;
    look_at_all();
    assert_int_equal(n_visits, N_NODES + 3);
}

static void all_that_is_left_is_adopted(void **state)
{
    (void)state;
    there[2] = (struct found){0};
    look_at_all();
    assert_int_equal(n_adopted, N_PARTS);
    assert_int_equal(count(there[2].epoch), N_PARTS);
}

static void the_accepted_epoch_is_there_to_the_last(void **state)
{
    (void)state;
    there[0].has_newest = false;
    for (uint32_t i = 1; i < N_PARTS; i++)
        there[i] = (struct found){0};
    snprintf(there[5].epoch, KV_EPOCH_MAX, OTHER);
    there[5].is_described = there[5].has_newest = true;
    there[5].placement.has_seed = true;
    look_at_all();
    assert_int_equal(n_adopted, N_PARTS);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_node_is_visited_once),
        TEST(what_is_missing_while_a_slot_is_split_is_not_lost),
        TEST(a_slot_that_stays_split_is_refused),
        TEST(a_reader_does_not_wait_for_a_store_that_nobody_makes),
        TEST(a_partition_that_cannot_be_looked_at_is_looked_at_again),
        TEST(all_that_is_left_is_adopted),
        TEST(the_accepted_epoch_is_there_to_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
