/* The loader, which fills the store before the server serves it. The test plays the loader on the
 * loop's own thread, and turns the loop itself. */
#include "rig.h"

static struct rig rig;
static int n_seen; /* writes seen by the interceptor */

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig);
    n_seen = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_fini(&rig);
    return 0;
}

static enum kv_verdict refuse(struct kv_interceptor *self, struct kv_command *command)
{
    (void)self;
    n_seen++;
    command->refusal = "refused";
    return KV_REFUSE;
}

static void make_it_a_second(struct kv_ttl *policy, struct kv_ttl_write *write)
{
    (void)policy;
    write->ttl_ms = 1000;
}

static void on_finished(struct kv_command *command)
{
    rig_note(&rig, "%s %s", (const char *)command->owner, kv_command_status_text(command->status));
}

static void send(struct kv_keyspace *keyspace, const char *key, int64_t ttl_ms, bool is_load)
{
    struct kv_command *command = kv_command_create(kv_keyspace_on(keyspace, 0), KV_COMMAND_SET);
    command->key = kv_slice_of(key);
    command->value = KV_SLICE("1");
    command->ttl_ms = ttl_ms;
    command->is_load = is_load;
    command->owner = (void *)(uintptr_t)key;
    command->finished = on_finished;
    kv_keyspace_send(command);
}

static void turn(struct kv_keyspace *keyspace)
{
    for (int i = 0; i < 3; i++)
        kv_loop_turn(kv_keyspace_event_loop(kv_keyspace_on(keyspace, 0)));
}

static int load_two(struct kv_loader *self, struct kv_keyspace *keyspace, struct kv_error *reterr)
{
    (void)self;
    (void)reterr;
    assert_false(kv_keyspace_is_ready(keyspace));
    send(keyspace, "client's", 0, false);
    send(keyspace, "short", 50, true);
    send(keyspace, "long", 0, true);
    turn(keyspace);
    rig_expect(&rig, "client's the store is not available: the server is starting or shutting "
                     "down; short done; long done");
    assert_int_equal(kv_keyspace_under_way(keyspace), 0);
    return 0;
}

static struct kv_loader loader_of_two = {.load = load_two};

static void only_the_loader_is_served_before_the_keyspace_is_ready(void **state)
{
    (void)state;
    rig.loader = &loader_of_two;
    rig_open(&rig, 1);
    assert_true(kv_keyspace_is_ready(rig.keyspace));
    rig_get(&rig, NULL, "a", "long");
    rig_get(&rig, NULL, "b", "client's");
    rig_turn(&rig);
    rig_expect(&rig, "a 1; b missing");
}

static void loaded_writes_bypass_interceptors_and_policies(void **state)
{
    (void)state;
    static const struct kv_ttl_ops ops = {.size = sizeof(ops), .on_write = make_it_a_second};
    struct kv_ttl_link policy = {.ops = &ops};
    struct kv_interceptor refuser = {.before_write = refuse};
    rig.interceptors[rig.n_interceptors++] = &refuser;
    rig.ttl_chain = &policy;
    rig.n_ttl_chain = 1;
    rig.loader = &loader_of_two;
    rig_open(&rig, 1);
    assert_int_equal(n_seen, 0);
    rig_pass_ms(&rig, 50);
    rig_get(&rig, NULL, "a", "short");
    rig_pass_ms(&rig, 10000);
    rig_get(&rig, NULL, "b", "long");
    rig_turn(&rig);
    rig_expect(&rig, "a missing; b 1");
}

/* If the store completes late, the keyspace makes no copy of the loaded data. */
static int load_late(struct kv_loader *self, struct kv_keyspace *keyspace, struct kv_error *reterr)
{
    (void)self;
    (void)reterr;
    char key[] = "early";
    send(keyspace, key, 0, true);
    rig.gate_is_shut = true;
    turn(keyspace);
    assert_int_equal(rig.n_waiting, 1);
    assert_ptr_equal(rig.waiting[0]->key.bytes, key);
    rig_execute(&rig, 0);
    rig_complete(&rig, 0);
    rig.gate_is_shut = false;
    turn(keyspace);
    rig_expect(&rig, "early done");
    return 0;
}

static void loaded_data_is_not_copied(void **state)
{
    (void)state;
    struct kv_loader loader = {.load = load_late};
    rig.loader = &loader;
    rig_open(&rig, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_the_loader_is_served_before_the_keyspace_is_ready,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(loaded_writes_bypass_interceptors_and_policies, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(loaded_data_is_not_copied, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
