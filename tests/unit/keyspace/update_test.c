/* Updates: a function of the old value, computed at the store's commit point or by compare-and-set,
 * on stores that complete at once or late. The function of most tests adds 1, and refuses values
 * that are not numbers. */
#include "rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    MANY = 200
};

static struct rig rig;
static const char *store;
static bool is_at_once; /* the store computes updates itself */

static int set_up(void **state)
{
    (void)state;
    rig_init_on(&rig, store);
    rig.is_sync = strcmp(store, "late") != 0;
    if (is_at_once)
        rig.capabilities |= rig.module->identity->capabilities & KV_STORE_UPDATES;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_fini(&rig);
    return 0;
}

static int add_argument(struct kv_command *command, const struct kv_item *old,
                        struct kv_buffer *out)
{
    char text[32] = "0";
    if (old->value.len != 0 && (old->value.bytes[0] < '0' || old->value.bytes[0] > '9')) {
        command->refusal = "not a number";
        return KV_INAPPLICABLE;
    }
    if (old->value.len != 0)
        snprintf(text, sizeof(text), "%.*s", (int)old->value.len, old->value.bytes);
    char more[32];
    snprintf(more, sizeof(more), "%.*s", (int)command->argument.len, command->argument.bytes);
    kv_buffer_printf(out, "%d", atoi(text) + atoi(more));
    return KV_OK;
}

static struct kv_command *make_update(struct kv_client *client, const char *name, const char *key)
{
    struct kv_command *command = rig_command(&rig, client, name, KV_COMMAND_UPDATE, key);
    command->update->compute = add_argument;
    command->argument = KV_SLICE("1");
    return command;
}

static void update(struct kv_client *client, const char *name, const char *key)
{
    rig_send(client, make_update(client, name, key));
}

static void expect(const char *log)
{
    rig_settle(&rig);
    rig_expect(&rig, log);
}

/* ---- the result ---- */

static void an_update_sets_the_result_of_its_function(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    update(NULL, "a", "k");
    expect("a 1");
    update(NULL, "b", "k");
    expect("b 2");
    rig_get(&rig, NULL, "c", "k");
    expect("c 2");
}

static void an_inapplicable_update_is_refused_with_a_reason(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    rig_set(&rig, NULL, "a", "k", "[]", 0);
    expect("a ok");
    update(NULL, "b", "k");
    expect("b not a number");
    rig_get(&rig, NULL, "c", "k");
    expect("c []");
}

static void a_result_of_the_same_bytes_is_no_change(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    rig_set(&rig, NULL, "a", "k", "7", 0);
    expect("a ok");
    struct kv_command *command = make_update(NULL, "b", "k");
    command->argument = KV_SLICE("0");
    rig_send(NULL, command);
    expect("b unchanged");
}

static void the_condition_is_evaluated_against_the_old_state(void **state)
{
    (void)state;
    uint64_t none = 1;
    rig_open(&rig, 1);
    rig_set(&rig, NULL, "a", "k", "7", 0);
    expect("a ok");
    struct kv_command *absent = make_update(NULL, "b", "k");
    absent->cond = KV_COND_ABSENT;
    rig_send(NULL, absent);
    struct kv_command *other = make_update(NULL, "c", "k");
    other->cond = KV_COND_REVISION;
    other->if_revisions = &none;
    other->n_if_revisions = 1;
    rig_send(NULL, other);
    struct kv_command *present = make_update(NULL, "d", "missing");
    present->cond = KV_COND_PRESENT;
    rig_send(NULL, present);
    rig_settle(&rig);
    assert_non_null(strstr(rig.log, "b condition"));
    assert_non_null(strstr(rig.log, "c condition"));
    assert_non_null(strstr(rig.log, "d condition"));
    rig.log[0] = '\0';
    rig_get(&rig, NULL, "e", "k");
    expect("e 7");
}

static void the_argument_is_needed_only_until_the_end_of_the_turn(void **state)
{
    (void)state;
    char argument[] = "41";
    rig_open(&rig, 1);
    rig_set(&rig, NULL, "s", "k", "1", 0);
    expect("s ok");
    struct kv_command *command = make_update(NULL, "a", "k");
    command->argument = kv_slice_of(argument);
    rig_send(NULL, command);
    kv_loop_turn(rig.loops[0]);
    memset(argument, 'x', sizeof(argument));
    expect("a 42");
}

/* ---- concurrency ---- */

static void no_update_of_concurrent_loops_and_clients_is_lost(void **state)
{
    (void)state;
    char log[64];
    struct kv_client *clients[2 * MANY];
    rig_open(&rig, 2);
    for (uint32_t i = 0; i < 2 * MANY; i++) {
        clients[i] = rig_client(&rig, i % 2);
        update(clients[i], "a", "k");
        update(clients[i], "b", "k");
    }
    rig_settle(&rig);
    assert_null(strstr(rig.log, "others"));
    rig.log[0] = '\0';
    rig_get(&rig, NULL, "n", "k");
    snprintf(log, sizeof(log), "n %d", 4 * MANY);
    expect(log);
    for (uint32_t i = 0; i < 2 * MANY; i++)
        kv_client_close(clients[i]);
}

/* Loops on threads of their own. */

struct sender {
    struct kv_post post;
    uint32_t loop;
    pthread_t thread;
};

static _Atomic int n_done;

static void count_done(struct kv_command *command)
{
    assert_int_equal(command->status, KV_OK);
    atomic_fetch_add(&n_done, 1);
}

static void send_many(struct kv_post *post)
{
    const struct sender *sender = KV_CONTAINER(post, struct sender, post);
    for (int i = 0; i < MANY; i++) {
        struct kv_command *command =
            kv_command_create(kv_keyspace_on(rig.keyspace, sender->loop), KV_COMMAND_UPDATE);
        command->key = KV_SLICE("k");
        command->update->compute = add_argument;
        command->argument = KV_SLICE("1");
        command->finished = count_done;
        kv_keyspace_send(command);
    }
}

static void *run_loop(void *argument)
{
    kv_loop_run(argument);
    return NULL;
}

static void no_update_of_loops_on_different_threads_is_lost(void **state)
{
    char log[64];
    struct sender senders[RIG_MAX_LOOPS];
    (void)state;
    n_done = 0;
    rig_open(&rig, RIG_MAX_LOOPS);
    for (uint32_t i = 0; i < RIG_MAX_LOOPS; i++) {
        senders[i] = (struct sender){.post = {.run = send_many}, .loop = i};
        kv_loop_post(rig.loops[i], &senders[i].post);
        pthread_create(&senders[i].thread, NULL, run_loop, rig.loops[i]);
    }
    for (int i = 0; i < RIG_PATIENCE && atomic_load(&n_done) < RIG_MAX_LOOPS * MANY; i++)
        usleep(100);
    for (uint32_t i = 0; i < RIG_MAX_LOOPS; i++) {
        kv_loop_stop(rig.loops[i]);
        pthread_join(senders[i].thread, NULL);
    }
    assert_int_equal(n_done, RIG_MAX_LOOPS * MANY);
    rig_get(&rig, NULL, "n", "k");
    snprintf(log, sizeof(log), "n %d", RIG_MAX_LOOPS * MANY);
    expect(log);
}

static void an_update_is_ordered_with_its_clients_commands(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    rig_set(&rig, client, "a", "k", "5", 0);
    update(client, "b", "k");
    rig_get(&rig, client, "c", "k");
    rig_set(&rig, client, "d", "k", "9", 0);
    update(client, "e", "k");
    rig_get(&rig, client, "f", "k");
    expect("a ok; b 6; c 6; d ok; e 10; f 10");
    kv_client_close(client);
}

static void an_update_of_a_closed_client_takes_effect_unanswered(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    rig_set(&rig, client, "a", "k", "5", 0);
    update(client, "b", "k");
    kv_client_close(client);
    expect("");
    rig_get(&rig, NULL, "c", "k");
    expect("c 6");
}

/* ---- TTLs ---- */

static void expect_gone_after(const char *key, int64_t ms)
{
    rig_pass_ms(&rig, ms - 1);
    rig_get(&rig, NULL, "there", key);
    rig_settle(&rig);
    assert_null(strstr(rig.log, "missing"));
    rig.log[0] = '\0';
    rig_pass_ms(&rig, 1);
    rig_get(&rig, NULL, "gone", key);
    expect("gone missing");
}

static void a_key_that_is_created_gets_the_ttl(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    struct kv_command *command = make_update(NULL, "a", "k");
    command->ttl_is_given = true;
    command->ttl_ms = 50;
    rig_send(NULL, command);
    expect("a 1");
    expect_gone_after("k", 50);
}

static void an_existing_key_keeps_its_deadline(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    rig_set(&rig, NULL, "a", "k", "1", 50);
    expect("a ok");
    rig_pass_ms(&rig, 20);
    struct kv_command *command = make_update(NULL, "b", "k");
    command->ttl_is_given = true;
    command->ttl_ms = 1000;
    rig_send(NULL, command);
    expect("b 2");
    expect_gone_after("k", 30);
}

static void an_update_may_set_the_ttl_of_an_existing_key(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    rig_set(&rig, NULL, "a", "k", "1", 50);
    expect("a ok");
    struct kv_command *command = make_update(NULL, "b", "k");
    command->update->sets_ttl = true;
    command->ttl_is_given = true;
    command->ttl_ms = 1000;
    rig_send(NULL, command);
    expect("b 2");
    expect_gone_after("k", 1000);
}

static void double_it(struct kv_ttl *policy, struct kv_ttl_write *write)
{
    (void)policy;
    write->ttl_ms *= 2;
}

static void policies_see_only_ttls_that_are_given(void **state)
{
    static const struct kv_ttl_ops ops = {.size = sizeof(ops), .on_write = double_it};
    struct kv_ttl_link doubles = {.ops = &ops};
    (void)state;
    rig.ttl_chain = &doubles;
    rig.n_ttl_chain = 1;
    rig_open(&rig, 1);
    struct kv_command *command = make_update(NULL, "a", "k");
    command->ttl_is_given = true;
    command->ttl_ms = 50;
    rig_send(NULL, command);
    expect("a 1");
    rig_pass_ms(&rig, 40);
    update(NULL, "b", "k");
    expect("b 2");
    expect_gone_after("k", 60);
}

/* ---- interceptors ---- */

static struct kv_command *suspended;
static int n_seen;

static enum kv_verdict intercept(struct kv_interceptor *self, struct kv_command *command)
{
    (void)self;
    if (command->depth != 0)
        return KV_PASS;
    n_seen++;
    rig_note(&rig, "sees %.*s", (int)command->value.len, command->value.bytes);
    if (kv_slice_equals(command->key, KV_SLICE("refused"))) {
        command->refusal = "no such thing";
        return KV_REFUSE;
    }
    if (kv_slice_equals(command->key, KV_SLICE("altered")))
        assert_int_equal(kv_command_replace_value(command, KV_SLICE("100")), 0);
    if (kv_slice_equals(command->key, KV_SLICE("suspended"))) {
        suspended = command;
        return KV_SUSPEND;
    }
    return KV_PASS;
}

static struct kv_interceptor interceptor = {.before_write = intercept};

static void open_intercepted(struct kv_interceptor *one)
{
    n_seen = 0;
    suspended = NULL;
    rig.interceptors[rig.n_interceptors++] = one;
    rig_open(&rig, 1);
}

static void interceptors_see_the_result_and_may_refuse_or_alter_it(void **state)
{
    (void)state;
    open_intercepted(&interceptor);
    update(NULL, "a", "refused");
    expect("sees 1; a no such thing");
    update(NULL, "b", "altered");
    expect("sees 1; b 100");
    rig_get(&rig, NULL, "c", "refused");
    expect("c missing");
    rig_get(&rig, NULL, "d", "altered");
    expect("d 100");
}

static void wait_until_suspended(int n)
{
    for (int i = 0; i < RIG_PATIENCE && n_seen < n; i++)
        rig_turn(&rig);
    assert_int_equal(n_seen, n);
}

/* The key is written while an interceptor holds the result. */
static void an_outdated_result_is_computed_and_intercepted_again(void **state)
{
    (void)state;
    open_intercepted(&interceptor);
    update(NULL, "a", "suspended");
    wait_until_suspended(1);
    struct kv_command *set = rig_command(&rig, NULL, "s", KV_COMMAND_SET, "suspended");
    set->value = KV_SLICE("41");
    set->depth = 1;
    rig_send(NULL, set);
    for (int i = 0; i < RIG_PATIENCE && strstr(rig.log, "s ok") == NULL; i++)
        rig_turn(&rig);
    rig_expect(&rig, "sees 1; s ok");
    kv_command_resume(suspended, KV_PASS);
    wait_until_suspended(2);
    rig_expect(&rig, "sees 42");
    kv_command_resume(suspended, KV_PASS);
    expect("a 42");
}

/* Writes the key each time, before the result is written. */
static enum kv_verdict interfere(struct kv_interceptor *self, struct kv_command *command)
{
    static char text[16];
    (void)self;
    if (command->depth != 0)
        return KV_PASS;
    snprintf(text, sizeof(text), "%d", ++n_seen);
    struct kv_command *set = rig_command(&rig, NULL, "s", KV_COMMAND_SET, "k");
    set->value = kv_slice_of(text);
    set->depth = 1;
    set->finished = NULL;
    assert_int_equal(kv_command_keep(set), 0);
    kv_keyspace_send(set);
    return KV_PASS;
}

static void an_update_fails_if_the_key_is_always_written_first(void **state)
{
    (void)state;
    struct kv_interceptor interferes = {.before_write = interfere};
    open_intercepted(&interferes);
    update(NULL, "a", "k");
    expect("a too many other writes of the key");
    assert_in_range(n_seen, 10, 1000);
}

/* ---- touching ---- */

static void touch_as(uint16_t depth, const char *name, const char *key, int64_t ttl_ms)
{
    struct kv_command *command = rig_command(&rig, NULL, name, KV_COMMAND_UPDATE, key);
    command->ttl_is_given = true;
    command->ttl_ms = ttl_ms;
    command->depth = depth;
    rig_send(NULL, command);
}

static void touch(const char *name, const char *key, int64_t ttl_ms)
{
    touch_as(0, name, key, ttl_ms);
}

static void a_touch_sets_only_the_ttl(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    rig_set(&rig, NULL, "a", "k", "1", 50);
    expect("a ok");
    touch("b", "k", 1000);
    rig_settle(&rig);
    rig.log[0] = '\0';
    rig_get(&rig, NULL, "c", "k");
    expect("c 1");
    expect_gone_after("k", 1000);
}

/* The key is touched while an interceptor holds the result. */
static void a_ttl_that_is_set_while_the_result_is_held_stays(void **state)
{
    (void)state;
    open_intercepted(&interceptor);
    struct kv_command *set = rig_command(&rig, NULL, "s", KV_COMMAND_SET, "suspended");
    set->value = KV_SLICE("1");
    set->ttl_ms = 50;
    set->depth = 1;
    rig_send(NULL, set);
    expect("s ok");
    update(NULL, "a", "suspended");
    wait_until_suspended(1);
    touch_as(1, "t", "suspended", 1000);
    for (int i = 0; i < RIG_PATIENCE && strstr(rig.log, "t ") == NULL; i++)
        rig_turn(&rig);
    kv_command_resume(suspended, KV_PASS);
    expect("sees 2; t unchanged; a 2");
    expect_gone_after("suspended", 1000);
}

/* As at the end of a lease; the key is touched behind the first look at it. */
static int delete_at_deadline(struct kv_command *command, const struct kv_item *old,
                              struct kv_buffer *out)
{
    (void)out;
    if (old->deadline_ms != command->update->number)
        return KV_CONDITION;
    if (n_seen++ == 0)
        touch("t", "k", 1000);
    return KV_OK;
}

static void a_delete_of_the_servers_own_leaves_a_key_that_was_touched(void **state)
{
    (void)state;
    if (is_at_once)
        skip(); /* nothing comes between the look and the delete */
    n_seen = 0;
    rig_open(&rig, 1);
    rig_set(&rig, NULL, "s", "k", "1", 50);
    expect("s ok");
    struct kv_command *command = make_update(NULL, "a", "k");
    command->update->compute = delete_at_deadline;
    command->update->number = RIG_START_MS + 50;
    command->update->is_own = true;
    command->update->is_quick = true;
    command->update->deletes = true;
    rig_send(NULL, command);
    rig_settle(&rig);
    assert_non_null(strstr(rig.log, "a condition"));
    assert_int_equal(n_seen, 1);
    expect_gone_after("k", 1000);
}

static void a_touch_of_a_missing_key_is_missing(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    touch("a", "k", 1000);
    expect("a missing");
    rig_get(&rig, NULL, "b", "k");
    expect("b missing");
}

static void interceptors_see_a_touch_as_a_set(void **state)
{
    (void)state;
    open_intercepted(&interceptor);
    rig_set(&rig, NULL, "a", "k", "7", 50);
    expect("sees 7; a ok");
    touch("b", "k", 1000);
    rig_settle(&rig);
    assert_true(strncmp(rig.log, "sees 7; b ", 10) == 0);
    rig.log[0] = '\0';
    expect_gone_after("k", 1000);
}

static bool covers_other(const struct kv_interceptor *self, const struct kv_command *command)
{
    (void)self;
    return kv_slice_equals(command->key, KV_SLICE("covered"));
}

static void an_update_bypasses_interceptors_that_do_not_cover_its_key(void **state)
{
    struct kv_interceptor covers = {.before_write = intercept, .covers = covers_other};
    (void)state;
    open_intercepted(&covers);
    update(NULL, "a", "k");
    expect(is_at_once ? "a 1" : "sees 1; a 1");
    update(NULL, "b", "covered");
    expect("sees 1; b 1");
}

/* ---- long values ---- */

enum {
    LONG = 300000
};

static pthread_t looper;
static bool is_elsewhere;

static int replace_long(struct kv_command *command, const struct kv_item *old,
                        struct kv_buffer *out)
{
    (void)command;
    is_elsewhere = !pthread_equal(pthread_self(), looper);
    kv_buffer_printf(out, "%zu", old->value.len);
    return KV_OK;
}

static void a_long_value_is_processed_by_a_worker(void **state)
{
    (void)state;
    char *value = malloc(LONG + 1);
    memset(value, '7', LONG);
    value[LONG] = '\0';
    looper = pthread_self();
    rig.workers = kv_workers_create(1);
    rig_open(&rig, 1);
    struct kv_client *client = rig_client(&rig, 0);
    rig_set(&rig, client, "a", "k", value, 0);
    rig_settle(&rig);
    struct kv_command *command = make_update(client, "b", "k");
    command->update->compute = replace_long;
    rig_send(client, command);
    rig_get(&rig, client, "c", "k");
    rig_settle(&rig);
    assert_true(is_elsewhere);
    rig_expect(&rig, "a ok; b 300000; c 300000");
    kv_client_close(client);
    free(value);
}

/* As when the loops are stopped while a worker computes. */
static void the_job_of_a_worker_at_the_end_is_finished(void **state)
{
    (void)state;
    char *value = malloc(LONG + 1);
    memset(value, '7', LONG);
    value[LONG] = '\0';
    looper = pthread_self();
    rig.workers = kv_workers_create(1);
    rig_open(&rig, 1);
    rig_set(&rig, NULL, "a", "k", value, 0);
    rig_settle(&rig);
    struct kv_command *command = make_update(NULL, "b", "k");
    command->update->compute = replace_long;
    rig_send(NULL, command);
    kv_loop_turn(rig.loops[0]);
    kv_workers_destroy(rig.workers);
    rig.workers = NULL;
    kv_keyspace_finish(rig.keyspace);
    rig_expect(&rig, "a ok; b 300000");
    free(value);
}

static void a_result_above_the_limit_changes_nothing(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    rig_set(&rig, NULL, "a", "k", "99", 0);
    expect("a ok");
    struct kv_command *command = make_update(NULL, "b", "k");
    command->update->max_bytes = 2;
    rig_send(NULL, command);
    rig_settle(&rig);
    rig.log[0] = '\0';
    rig_get(&rig, NULL, "c", "k");
    expect("c 99");
}

static void updates_wait_while_writes_are_held_back(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    kv_keyspace_hold_writes(rig.keyspace);
    update(NULL, "a", "k");
    rig_turn(&rig);
    rig_expect(&rig, "");
    kv_keyspace_release_writes(rig.keyspace);
    expect("a 1");
}

int main(int argc, char **argv)
{
#define UPDATE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        UPDATE_TEST(an_update_sets_the_result_of_its_function),
        UPDATE_TEST(an_inapplicable_update_is_refused_with_a_reason),
        UPDATE_TEST(a_result_of_the_same_bytes_is_no_change),
        UPDATE_TEST(the_condition_is_evaluated_against_the_old_state),
        UPDATE_TEST(the_argument_is_needed_only_until_the_end_of_the_turn),
        UPDATE_TEST(no_update_of_concurrent_loops_and_clients_is_lost),
        UPDATE_TEST(no_update_of_loops_on_different_threads_is_lost),
        UPDATE_TEST(an_update_is_ordered_with_its_clients_commands),
        UPDATE_TEST(an_update_of_a_closed_client_takes_effect_unanswered),
        UPDATE_TEST(a_key_that_is_created_gets_the_ttl),
        UPDATE_TEST(an_existing_key_keeps_its_deadline),
        UPDATE_TEST(an_update_may_set_the_ttl_of_an_existing_key),
        UPDATE_TEST(policies_see_only_ttls_that_are_given),
        UPDATE_TEST(interceptors_see_the_result_and_may_refuse_or_alter_it),
        UPDATE_TEST(an_outdated_result_is_computed_and_intercepted_again),
        UPDATE_TEST(an_update_fails_if_the_key_is_always_written_first),
        UPDATE_TEST(a_touch_sets_only_the_ttl),
        UPDATE_TEST(a_ttl_that_is_set_while_the_result_is_held_stays),
        UPDATE_TEST(a_delete_of_the_servers_own_leaves_a_key_that_was_touched),
        UPDATE_TEST(a_touch_of_a_missing_key_is_missing),
        UPDATE_TEST(interceptors_see_a_touch_as_a_set),
        UPDATE_TEST(an_update_bypasses_interceptors_that_do_not_cover_its_key),
        UPDATE_TEST(a_long_value_is_processed_by_a_worker),
        UPDATE_TEST(the_job_of_a_worker_at_the_end_is_finished),
        UPDATE_TEST(a_result_above_the_limit_changes_nothing),
        UPDATE_TEST(updates_wait_while_writes_are_held_back),
    };
    store = argc > 1 ? argv[1] : "simple";
    is_at_once = argc > 2 && strcmp(argv[2], "at_once") == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
