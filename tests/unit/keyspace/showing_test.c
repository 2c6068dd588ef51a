/*
 * Changes that a store shows: which observers act on them and when, and up to which revision they
 * are settled.
 */
#include "told_store.h"

#include "base/hash.h"
#include "keyspace/loop.h"

enum {
    MOST_TAKEN = 16
};

static struct rig rig;
static enum kv_claim_state state;
static bool is_to_take; /* taken, to be given back by the test */
static struct kv_shown *taken[MOST_TAKEN];
static size_t n_taken;
static bool has_to_show;

/* ---- the store ---- */

static void settled(struct kv_store *store, uint32_t part, uint64_t claim, uint64_t revision)
{
    (void)store;
    assert_int_equal(part, 0);
    rig_note(&rig, "settled %ju of %ju", (uintmax_t)revision, (uintmax_t)claim);
}

static enum kv_claim_state claim_state(struct kv_store *store, uint32_t part, uint64_t claim)
{
    (void)store;
    (void)part;
    return claim == 1 ? state : KV_CLAIM_HELD;
}

static bool has_more(struct kv_store *store, uint64_t revision)
{
    (void)store;
    return has_to_show && revision > 10;
}

/* ---- observers ---- */

static void see(struct kv_observer *self, struct kv_keyspace_loop *loop,
                const struct kv_change *change, struct kv_shown *shown)
{
    (void)self;
    (void)loop;
    assert_non_null(shown);
    rig_note(&rig, "%.*s=%.*s mark %u", (int)change->key.len, change->key.bytes,
             (int)change->after.value.len, change->after.value.bytes, kv_shown_mark(shown));
    if (!is_to_take)
        return;
    kv_shown_take(shown);
    taken[n_taken++] = shown;
}

static void witness(struct kv_observer *self, struct kv_keyspace_loop *loop,
                    const struct kv_change *change, struct kv_shown *shown)
{
    (void)self;
    (void)loop;
    assert_null(shown);
    rig_note(&rig, "witnessed %.*s", (int)change->key.len, change->key.bytes);
}

static struct kv_observer observer = {.on_change = see};
static struct kv_observer everywhere = {.on_change = witness, .is_everywhere = true};

static int set_up(void **unused)
{
    (void)unused;
    rig_init(&rig);
    told_store_use(&rig);
    rig.ops.settled = settled;
    rig.ops.claim_state = claim_state;
    rig.ops.has_to_show = has_more;
    rig.capabilities = KV_STORE_IN_ORDER | KV_STORE_SHOWS;
    rig.observers[rig.n_observers++] = &observer;
    rig_open(&rig, 1);
    state = KV_CLAIM_HELD;
    is_to_take = has_to_show = false;
    n_taken = 0;
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    rig_fini(&rig);
    told_store_expect_no_references();
    return 0;
}

static void show(uint64_t revision, const char *key)
{
    told_store_show(&rig, 1, 0, revision, key, "1");
}

/* ---- tests ---- */

static void an_observer_sees_only_changes_that_are_shown(void **unused)
{
    (void)unused;
    told_store_tell(&rig, 5, "told", "1");
    told_store_show(&rig, 1, 3, 5, "shown", "2");
    rig_turn(&rig);
    rig_expect(&rig, "shown=2 mark 3; settled 5 of 1");
}

static void changes_are_settled_in_order_even_if_given_back_out_of_order(void **unused)
{
    (void)unused;
    is_to_take = true;
    for (uint64_t revision = 1; revision <= 4; revision++)
        show(revision, "k");
    rig_turn(&rig);
    rig.log[0] = '\0';
    assert_int_equal(n_taken, 4);
    kv_shown_give_back(taken[1]);
    kv_shown_give_back(taken[2]);
    rig_expect(&rig, "");
    kv_shown_give_back(taken[0]);
    rig_expect(&rig, "settled 3 of 1");
    kv_shown_give_back(taken[3]);
    rig_expect(&rig, "settled 4 of 1");
}

static void a_change_is_settled_when_its_last_taker_gives_it_back(void **unused)
{
    (void)unused;
    is_to_take = true;
    show(1, "k");
    rig_turn(&rig);
    rig.log[0] = '\0';
    kv_shown_take(taken[0]);
    kv_shown_give_back(taken[0]);
    rig_expect(&rig, "");
    kv_shown_give_back(taken[0]);
    rig_expect(&rig, "settled 1 of 1");
}

static void a_forgone_change_blocks_settling_until_a_new_claim(void **unused)
{
    (void)unused;
    is_to_take = true;
    for (uint64_t revision = 1; revision <= 3; revision++)
        show(revision, "k");
    told_store_show(&rig, 2, 0, 2, "k", "1");
    rig_turn(&rig);
    rig.log[0] = '\0';
    kv_shown_forgo(taken[1]);
    for (size_t i = 0; i < 3; i++)
        kv_shown_give_back(taken[i]);
    rig_expect(&rig, "settled 1 of 1");
    kv_shown_give_back(taken[3]);
    rig_expect(&rig, "settled 2 of 2");
}

static void observers_wait_while_the_claim_is_unsure(void **unused)
{
    (void)unused;
    state = KV_CLAIM_UNSURE;
    show(1, "k");
    rig_turn(&rig);
    rig_expect(&rig, "");
    assert_false(kv_keyspace_is_quiet(rig.keyspace));
    state = KV_CLAIM_HELD;
    rig_pass_ms(&rig, 100);
    rig_turn(&rig);
    rig_expect(&rig, "k=1 mark 0; settled 1 of 1");
    assert_true(kv_keyspace_is_quiet(rig.keyspace));
}

static void changes_of_a_lost_claim_are_neither_seen_nor_settled(void **unused)
{
    (void)unused;
    state = KV_CLAIM_LOST;
    show(1, "k");
    rig_turn(&rig);
    state = KV_CLAIM_HELD;
    show(2, "k");
    rig_turn(&rig);
    rig_expect(&rig, "k=1 mark 0");
}

static void imported_changes_are_settled_unseen(void **unused)
{
    (void)unused;
    told_store_show(&rig, 1, KV_MARK_UNSEEN, 1, "k", "1");
    rig_turn(&rig);
    rig_expect(&rig, "settled 1 of 1");
}

static void changes_are_not_shown_while_writes_are_held_back(void **unused)
{
    (void)unused;
    has_to_show = true;
    assert_true(rig.host->has_observers);
    assert_true(rig.host->may_show(rig.host));
    kv_keyspace_hold_writes(rig.keyspace);
    assert_false(rig.host->may_show(rig.host));
    kv_keyspace_release_writes(rig.keyspace);
    assert_true(rig.host->may_show(rig.host));
}

static void the_keyspace_is_not_quiet_while_the_store_has_to_show(void **unused)
{
    (void)unused;
    assert_true(kv_keyspace_is_quiet(rig.keyspace));
    has_to_show = true;
    assert_false(kv_keyspace_is_quiet(rig.keyspace));
    has_to_show = false;
}

static void changes_after_the_drain_are_left_to_other_servers(void **unused)
{
    (void)unused;
    told_store_tell(&rig, 5, "k", "1");
    has_to_show = true;
    kv_keyspace_drain(rig.keyspace);
    assert_true(kv_keyspace_is_quiet(rig.keyspace)); /* no change up to 5 is to be shown */
    assert_false(rig.host->may_show(rig.host));
    show(5, "k");
    show(11, "k");
    rig_turn(&rig);
    rig_expect(&rig, "k=1 mark 0; settled 5 of 1");
}

static void changes_after_the_end_are_neither_seen_nor_settled(void **unused)
{
    (void)unused;
    show(1, "k");
    kv_keyspace_finish(rig.keyspace);
    show(2, "k");
    rig_expect(&rig, "");
    assert_false(rig.host->may_show(rig.host));
}

/* ---- observers that see every server's changes ---- */

static int set_up_witness(void **unused)
{
    (void)unused;
    rig_init(&rig);
    told_store_use(&rig);
    rig.ops.has_to_show = has_more;
    rig.capabilities = KV_STORE_IN_ORDER | KV_STORE_SHOWS;
    rig.observers[rig.n_observers++] = &everywhere;
    rig_open(&rig, 1);
    return 0;
}

static void a_witness_sees_told_changes_and_does_not_claim_them(void **unused)
{
    (void)unused;
    assert_false(rig.host->has_observers);
    told_store_tell(&rig, 5, "told", "1");
    rig_turn(&rig);
    rig_expect(&rig, "witnessed told");
}

static void a_witness_sees_changes_of_another_server(void **unused)
{
    (void)unused;
    static char key[] = "other";
    void *reference = told_store_reference();
    const struct kv_change change = {
        .reason = KV_REASON_SET,
        .revision = 7,
        .hash = kv_hash(kv_slice_of(key)),
        .key = kv_slice_of(key),
        .after = {.value = KV_SLICE("1"), .revision = 7, .ref = reference},
    };
    told_store_set_revision(7);
    rig.host->changed_elsewhere(rig.host, 0, &change);
    rig_turn(&rig);
    rig.ops.unref(NULL, reference);
    rig_expect(&rig, "witnessed other");
}

int main(void)
{
#define SHOWING_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        SHOWING_TEST(an_observer_sees_only_changes_that_are_shown),
        SHOWING_TEST(changes_are_settled_in_order_even_if_given_back_out_of_order),
        SHOWING_TEST(a_change_is_settled_when_its_last_taker_gives_it_back),
        SHOWING_TEST(a_forgone_change_blocks_settling_until_a_new_claim),
        SHOWING_TEST(observers_wait_while_the_claim_is_unsure),
        SHOWING_TEST(changes_of_a_lost_claim_are_neither_seen_nor_settled),
        SHOWING_TEST(imported_changes_are_settled_unseen),
        SHOWING_TEST(changes_are_not_shown_while_writes_are_held_back),
        SHOWING_TEST(the_keyspace_is_not_quiet_while_the_store_has_to_show),
        SHOWING_TEST(changes_after_the_drain_are_left_to_other_servers),
        SHOWING_TEST(changes_after_the_end_are_neither_seen_nor_settled),
        cmocka_unit_test_setup_teardown(a_witness_sees_told_changes_and_does_not_claim_them,
                                        set_up_witness, tear_down),
        cmocka_unit_test_setup_teardown(a_witness_sees_changes_of_another_server, set_up_witness,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
