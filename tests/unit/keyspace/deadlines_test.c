/* When keys expire, on a clock that is finer than the milliseconds of a TTL: never before the TTL
 * has passed, whatever the fraction of a millisecond. */
#include "rig.h"

enum {
    TTL_MS = 5
};

static struct rig rig;
static const int64_t parts_of_a_ms[] = {0, 1, 400000, 999999}; /* ns */

#define N(array) (sizeof(array) / sizeof((array)[0]))

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_fini(&rig);
    return 0;
}

static void clock_shows(int64_t ms, int64_t ns)
{
    rig.now_ns = ms * KV_NS_PER_MS + ns;
}

static void expect_read(const char *key, const char *log)
{
    rig_get(&rig, NULL, "g", key);
    rig_turn(&rig);
    rig_expect(&rig, log);
}

/* The TTL began at this fraction of a millisecond; the key exists until the TTL has passed. */
static void expect_whole_ttl(const char *key, int64_t began_ms, int64_t began_ns)
{
    clock_shows(began_ms + TTL_MS, began_ns - 1);
    expect_read(key, "g 1");
    clock_shows(began_ms + TTL_MS + 2, 0);
    expect_read(key, "g missing");
}

static void key_exists_until_its_ttl_has_passed(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    for (size_t i = 0; i < N(parts_of_a_ms); i++) {
        int64_t began_ms = RIG_START_MS + 100 * (int64_t)i;
        clock_shows(began_ms, parts_of_a_ms[i]);
        rig_set(&rig, NULL, "s", "k", "1", TTL_MS);
        rig_turn(&rig);
        rig_expect(&rig, "s ok");
        expect_whole_ttl("k", began_ms, parts_of_a_ms[i]);
    }
}

static int64_t loaded_at_ns;

static int load_one(struct kv_loader *self, struct kv_keyspace *keyspace, struct kv_error *reterr)
{
    (void)self;
    (void)reterr;
    struct kv_command *command = kv_command_create(kv_keyspace_on(keyspace, 0), KV_COMMAND_SET);
    command->key = KV_SLICE("loaded");
    command->value = KV_SLICE("1");
    command->ttl_ms = TTL_MS;
    command->is_load = true;
    clock_shows(RIG_START_MS, loaded_at_ns);
    kv_keyspace_send(command);
    kv_loop_turn(rig.loops[0]);
    return 0;
}

static void loaded_key_exists_until_its_ttl_has_passed(void **state)
{
    (void)state;
    struct kv_loader loader = {.load = load_one};
    loaded_at_ns = 400000;
    rig.loader = &loader;
    rig_open(&rig, 1);
    expect_whole_ttl("loaded", RIG_START_MS, loaded_at_ns);
}

static void renew(struct kv_ttl *policy, struct kv_ttl_read *read)
{
    (void)policy;
    if (read->deadline_ms != KV_NEVER && read->deadline_ms < read->now_ms + TTL_MS)
        read->deadline_ms = read->now_ms + TTL_MS;
}

static void pass_on(struct kv_ttl *policy, struct kv_ttl_write *write)
{
    (void)policy;
    (void)write;
}

/* Sets a key whose deadline each read renews. */
static void open_renewing(void)
{
    static const struct kv_ttl_ops ops = {
        .size = sizeof(ops), .on_write = pass_on, .on_read = renew};
    static struct kv_ttl_link renewing = {.ops = &ops, .renews = true};
    rig.ttl_chain = &renewing;
    rig.n_ttl_chain = 1;
    rig_open(&rig, 1);
    rig_set(&rig, NULL, "s", "k", "1", TTL_MS);
    rig_turn(&rig);
}

/* Each read renews the deadline, so the key exists for the whole TTL after the last read. */
static void renewed_key_exists_until_its_ttl_has_passed(void **state)
{
    (void)state;
    open_renewing();
    rig_expect(&rig, "s ok");
    clock_shows(RIG_START_MS + 2, 400000);
    expect_read("k", "g 1");
    clock_shows(RIG_START_MS + 2 + TTL_MS, 399999);
    expect_read("k", "g 1");
    clock_shows(RIG_START_MS + 2 + 2 * TTL_MS, 399998);
    expect_read("k", "g 1");
}

/* The key is touched between the read and the write of the renewed deadline. */
static void ttl_that_is_set_during_a_renewal_stays(void **state)
{
    (void)state;
    open_renewing();
    clock_shows(RIG_START_MS + 2, 0);
    rig.gate_is_shut = true;
    rig_get(&rig, NULL, "g", "k");
    rig_turn(&rig);
    rig_execute(&rig, 0);
    struct kv_command *touch = rig_command(&rig, NULL, "t", KV_COMMAND_UPDATE, "k");
    touch->ttl_is_given = true;
    touch->ttl_ms = 100;
    rig_send(NULL, touch);
    rig_turn(&rig);
    rig_execute(&rig, 1);
    rig_complete(&rig, 1);
    rig.gate_is_shut = false;
    rig_complete(&rig, 0);
    rig_turn(&rig);
    assert_non_null(strstr(rig.log, "g 1"));
    clock_shows(RIG_START_MS + 101, 0);
    rig.log[0] = '\0';
    expect_read("k", "g 1");
}

static void remaining_ttl_never_exceeds_the_ttl_or_the_time_until_the_deadline(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    int64_t deadline_ms = RIG_START_MS + TTL_MS;
    for (int64_t ns = 0; ns < (TTL_MS - 1) * (int64_t)KV_NS_PER_MS; ns += 123456) {
        clock_shows(RIG_START_MS, ns);
        int64_t left_ns = deadline_ms * KV_NS_PER_MS - rig.now_ns;
        int64_t told_ms = kv_keyspace_ttl_left_ms(rig.keyspace, deadline_ms);
        assert_true(told_ms * KV_NS_PER_MS <= left_ns);
        assert_true((told_ms + 1) * KV_NS_PER_MS > left_ns);
    }
    clock_shows(RIG_START_MS, 400000); /* the deadline that this TTL yields now */
    assert_int_equal(kv_keyspace_ttl_left_ms(rig.keyspace, kv_clock_next_ms(&rig.clock) + TTL_MS),
                     TTL_MS);
}

static void remaining_ttl_is_never_rounded_to_no_expiry(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    clock_shows(RIG_START_MS + TTL_MS, -1);
    assert_int_equal(kv_keyspace_ttl_left_ms(rig.keyspace, RIG_START_MS + TTL_MS), 1);
    assert_int_equal(kv_keyspace_ttl_left_ms(rig.keyspace, KV_NEVER), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(key_exists_until_its_ttl_has_passed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(loaded_key_exists_until_its_ttl_has_passed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(renewed_key_exists_until_its_ttl_has_passed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(ttl_that_is_set_during_a_renewal_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            remaining_ttl_never_exceeds_the_ttl_or_the_time_until_the_deadline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(remaining_ttl_is_never_rounded_to_no_expiry, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
