/* Commands that had to wait are checked against the rights that are in force when they continue. */
#include "access/access.h"
#include "rig.h"

static struct rig rig;
static struct kv_access *access;

/* Rules with one token that may read and write the keys with a prefix. */
static struct kv_rules *rules_for(const char *token, const char *prefix)
{
    struct kv_slice granted = kv_slice_of(prefix);
    struct kv_rules *rules = kv_rules_create(1, 0);
    rules->tokens[0].name = kv_slice_of(kv_strdup("backend"));
    rules->tokens[0].has_digest = true;
    kv_token_digest(kv_slice_of(token), rules->tokens[0].digest);
    kv_prefixes_init(&rules->tokens[0].grants.read, &granted, 1);
    kv_prefixes_init(&rules->tokens[0].grants.write, &granted, 1);
    return rules;
}

static int set_up(void **state)
{
    (void)state;
    rig_init(&rig);
    access = kv_access_create(rules_for("secret", ""), 1);
    rig.access = access;
    rig_open(&rig, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_fini(&rig);
    kv_access_destroy(access);
    return 0;
}

static struct kv_client *client_with_token(void)
{
    struct kv_client *client = rig_client(&rig, 0);
    struct kv_principal *principal =
        kv_access_authenticate(kv_access_on(access, 0), KV_SLICE("secret"), 0, NULL);
    assert_non_null(principal);
    kv_client_identify(client, principal);
    kv_principal_unref(principal);
    return client;
}

static void put_into_force(struct kv_rules *rules)
{
    kv_access_revise(access, rules);
    kv_access_take_up(kv_access_on(access, 0));
}

/* A client with a write that is in the store, and two commands that wait for it. */
static struct kv_client *client_that_waits(void)
{
    struct kv_client *client = client_with_token();
    rig.gate_is_shut = true;
    rig_set(&rig, client, "first", "k", "1", 0);
    rig_get(&rig, client, "second", "k");
    rig_set(&rig, client, "third", "k", "2", 0);
    rig_turn(&rig);
    return client;
}

static void let_all_through(void)
{
    for (size_t i = 0; i < rig.n_waiting; i++) {
        rig_execute(&rig, i);
        rig_complete(&rig, i);
        rig_turn(&rig);
    }
}

static void waiting_commands_continue_while_the_token_is_valid(void **state)
{
    (void)state;
    struct kv_client *client = client_that_waits();
    put_into_force(rules_for("secret", "k"));
    let_all_through();
    rig_expect(&rig, "first ok; second 1; third ok");
    kv_client_close(client);
}

static void waiting_commands_are_refused_once_the_token_is_removed(void **state)
{
    (void)state;
    struct kv_client *client = client_that_waits();
    put_into_force(rules_for("another", ""));
    let_all_through();
    assert_int_equal(rig.n_waiting, 1);
    rig_expect(&rig,
               "first ok; second the token is no longer valid; third the token is no longer valid");
    kv_client_close(client);
}

static void waiting_commands_are_refused_once_the_right_is_revoked(void **state)
{
    (void)state;
    struct kv_client *client = client_that_waits();
    put_into_force(rules_for("secret", "other/"));
    let_all_through();
    rig_expect(&rig, "first ok; second the right `read` is needed for this key, and is granted for "
                     "\"other/\"; third the right `write` is needed for this key, and is granted "
                     "for \"other/\"");
    kv_client_close(client);
}

/* As with HTTP requests on one connection, each of which has its own token. */
static void waiting_commands_keep_the_principal_they_were_sent_by(void **state)
{
    (void)state;
    struct kv_client *client = client_that_waits();
    kv_client_identify(client, &kv_principal_nobody);
    let_all_through();
    rig_expect(&rig, "first ok; second 1; third ok");
    kv_client_close(client);
}

static void later_commands_are_checked_against_the_current_rules(void **state)
{
    (void)state;
    struct kv_client *client = client_with_token();
    put_into_force(rules_for("another", ""));
    rig_get(&rig, client, "next", "k");
    rig_turn(&rig);
    rig_expect(&rig, "next the token is no longer valid");
    put_into_force(rules_for("secret", ""));
    rig_get(&rig, client, "again", "k");
    rig_turn(&rig);
    rig_expect(&rig, "again missing");
    kv_client_close(client);
}

/* Only what may have been revoked is refused for now. */
static void removed_tokens_are_refused_for_good_while_revocations_are_unread(void **state)
{
    struct kv_revocations *unread = kv_revocations_create(KV_SLICE("revoked/"));
    (void)state;
    kv_access_use_revocations(access, unread);
    struct kv_client *client = client_that_waits();
    put_into_force(rules_for("another", ""));
    let_all_through();
    rig_expect(&rig,
               "first ok; second the token is no longer valid; third the token is no longer valid");
    rig_get(&rig, client, "next", "k");
    rig_turn(&rig);
    rig_expect(&rig, "next the token is no longer valid");
    kv_client_close(client);
    kv_access_use_revocations(access, NULL);
    kv_revocations_destroy(unread);
}

static void held_writes_are_checked_again(void **state)
{
    (void)state;
    struct kv_client *client = client_with_token();
    kv_keyspace_hold_writes(rig.keyspace);
    rig_set(&rig, client, "held", "k", "1", 0);
    rig_turn(&rig);
    put_into_force(rules_for("another", ""));
    kv_keyspace_release_writes(rig.keyspace);
    rig_settle(&rig);
    rig_expect(&rig, "held the token is no longer valid");
    kv_client_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(waiting_commands_continue_while_the_token_is_valid, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(waiting_commands_are_refused_once_the_token_is_removed,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(waiting_commands_are_refused_once_the_right_is_revoked,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(waiting_commands_keep_the_principal_they_were_sent_by,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(later_commands_are_checked_against_the_current_rules,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            removed_tokens_are_refused_for_good_while_revocations_are_unread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(held_writes_are_checked_again, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
