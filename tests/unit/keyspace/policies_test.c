/* Steps between a command and the store (interceptors, TTL policies), and readers of the feed
 * besides subscribers (observers). */
#include "rig.h"

#include "base/hash.h"

static struct rig rig;

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

/* An interceptor that acts on the key's name. */

static struct kv_command *suspended;

static enum kv_verdict act_on_name(struct kv_interceptor *self, struct kv_command *command)
{
    (void)self;
    if (kv_slice_equals(command->key, KV_SLICE("refused"))) {
        command->refusal = "no such thing";
        return KV_REFUSE;
    }
    if (kv_slice_equals(command->key, KV_SLICE("altered"))) {
        assert_int_equal(kv_command_replace_value(command, KV_SLICE("\"altered\"")), 0);
        command->ttl_ms = 50;
    }
    if (kv_slice_equals(command->key, KV_SLICE("suspended"))) {
        suspended = command;
        return KV_SUSPEND;
    }
    return KV_PASS;
}

static struct kv_interceptor by_name = {.before_write = act_on_name};

static void open_intercepted(void)
{
    rig.interceptors[rig.n_interceptors++] = &by_name;
    rig_open(&rig, 1);
}

static void an_interceptor_refuses_with_its_reason_and_nothing_changes(void **state)
{
    (void)state;
    open_intercepted();
    rig_set(&rig, NULL, "a", "refused", "1", 0);
    rig_delete(&rig, NULL, "b", "refused");
    rig_get(&rig, NULL, "c", "refused");
    rig_turn(&rig);
    rig_expect(&rig, "a no such thing; b no such thing; c missing");
}

static void an_interceptor_alters_value_and_ttl(void **state)
{
    (void)state;
    open_intercepted();
    rig_set(&rig, NULL, "a", "altered", "1", 0);
    rig_get(&rig, NULL, "b", "altered");
    rig_turn(&rig);
    rig_pass_ms(&rig, 50);
    rig_get(&rig, NULL, "c", "altered");
    rig_turn(&rig);
    rig_expect(&rig, "a ok; b \"altered\"; c missing");
}

static void a_suspended_write_delays_only_later_writes_of_its_client(void **state)
{
    (void)state;
    open_intercepted();
    struct kv_client *client = rig_client(&rig, 0), *other = rig_client(&rig, 0);
    rig_set(&rig, client, "a", "suspended", "1", 0);
    rig_set(&rig, client, "b", "x", "1", 0);
    rig_get(&rig, client, "c", "suspended");
    rig_set(&rig, other, "o", "y", "1", 0);
    rig_get(&rig, other, "p", "x");
    rig_turn(&rig);
    rig_expect(&rig, "o ok; p missing");
    kv_command_resume(suspended, KV_PASS);
    rig_turn(&rig);
    rig_expect(&rig, "a ok; b ok; c 1");
    kv_client_close(client);
    kv_client_close(other);
}

static void a_suspended_write_may_still_be_refused(void **state)
{
    (void)state;
    open_intercepted();
    rig_set(&rig, NULL, "a", "suspended", "1", 0);
    rig_turn(&rig);
    suspended->refusal = "after all";
    kv_command_resume(suspended, KV_REFUSE);
    rig_turn(&rig);
    rig_expect(&rig, "a after all");
}

/* Policies. */

static void add_ten(struct kv_ttl *policy, struct kv_ttl_write *write)
{
    (void)policy;
    write->ttl_ms += 10;
}

static void double_it(struct kv_ttl *policy, struct kv_ttl_write *write)
{
    (void)policy;
    write->ttl_ms *= 2;
}

static void renew_for_a_second(struct kv_ttl *policy, struct kv_ttl_read *read)
{
    (void)policy;
    read->deadline_ms = read->now_ms + 1000;
}

static void policies_run_in_the_order_of_the_chain(void **state)
{
    static const struct kv_ttl_ops adds = {.size = sizeof(adds), .on_write = add_ten};
    static const struct kv_ttl_ops doubles = {.size = sizeof(doubles), .on_write = double_it};
    struct kv_ttl_link chain[] = {{.ops = &adds}, {.ops = &doubles}};
    (void)state;
    rig.ttl_chain = chain;
    rig.n_ttl_chain = 2;
    rig_open(&rig, 1);
    rig_set(&rig, NULL, "a", "k", "1", 15); /* (15 + 10) * 2 */
    rig_turn(&rig);
    rig_pass_ms(&rig, 49);
    rig_get(&rig, NULL, "b", "k");
    rig_turn(&rig);
    rig_pass_ms(&rig, 1);
    rig_get(&rig, NULL, "c", "k");
    rig_turn(&rig);
    rig_expect(&rig, "a ok; b 1; c missing");
}

static void a_read_renews_the_deadline_if_a_policy_does(void **state)
{
    static const struct kv_ttl_ops adds = {
        .size = sizeof(adds), .on_write = add_ten, .on_read = renew_for_a_second};
    struct kv_ttl_link chain[] = {{.ops = &adds, .renews = true}};
    (void)state;
    rig.ttl_chain = chain;
    rig.n_ttl_chain = 1;
    rig_open(&rig, 1);
    rig_set(&rig, NULL, "a", "k", "1", 40);
    rig_get(&rig, NULL, "b", "k");
    rig_turn(&rig);
    rig_pass_ms(&rig, 999);
    rig_get(&rig, NULL, "c", "k");
    rig_turn(&rig);
    rig_pass_ms(&rig, 1000);
    rig_get(&rig, NULL, "d", "k");
    rig_turn(&rig);
    rig_expect(&rig, "a ok; b 1; c 1; d missing");
}

/* Observers. */

static void note_change(struct kv_observer *self, struct kv_keyspace_loop *loop,
                        const struct kv_change *change, struct kv_shown *shown)
{
    static const char *const reasons[] = {
        [KV_REASON_SET] = "set", [KV_REASON_DELETE] = "delete", [KV_REASON_EXPIRE] = "expire"};
    (void)self;
    assert_null(shown);
    assert_ptr_equal(loop, kv_keyspace_on(rig.keyspace, kv_hash(change->key) % rig.n_loops));
    rig_note(&rig, "%s %.*s>%.*s", reasons[change->reason], (int)change->before.value.len,
             change->before.value.len == 0 ? "" : change->before.value.bytes,
             (int)change->after.value.len,
             change->after.value.len == 0 ? "" : change->after.value.bytes);
}

static struct kv_observer notes = {.on_change = note_change};

static void an_observer_sees_every_change_once_with_the_previous_value(void **state)
{
    (void)state;
    rig.observers[rig.n_observers++] = &notes;
    rig_open(&rig, 1);
    rig_set(&rig, NULL, "a", "k", "1", 0);
    rig_turn(&rig);
    rig_set(&rig, NULL, "b", "k", "2", 30);
    rig_turn(&rig);
    rig_expect(&rig, "set >1; a ok; set 1>2; b ok");
    rig_pass_ms(&rig, 30);
    rig_turn(&rig);
    rig_expect(&rig, "expire 2>");
    rig_set(&rig, NULL, "c", "k", "3", 0);
    rig_delete(&rig, NULL, "d", "k");
    rig_turn(&rig);
    rig_expect(&rig, "set >3; delete 3>; c ok; d ok");
}

static void an_observer_runs_on_the_keys_home_loop(void **state)
{
    (void)state;
    rig.observers[rig.n_observers++] = &notes;
    rig_open(&rig, 2);
    for (char key[] = "a"; key[0] <= 'z'; key[0]++) {
        rig_set(&rig, NULL, "w", key, "1", 0);
        rig_turn(&rig); /* the observer asserts that it runs on the right loop */
        assert_non_null(strstr(rig.log, "set >1"));
        rig.log[0] = '\0';
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_interceptor_refuses_with_its_reason_and_nothing_changes,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_interceptor_alters_value_and_ttl, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_suspended_write_delays_only_later_writes_of_its_client,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_suspended_write_may_still_be_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(policies_run_in_the_order_of_the_chain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_read_renews_the_deadline_if_a_policy_does, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_observer_sees_every_change_once_with_the_previous_value,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_observer_runs_on_the_keys_home_loop, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
