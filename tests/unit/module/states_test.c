/* The states of keys that readers of a durable store find in memory, and when they must ask
 * elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "states.h"

#define KEY      KV_SLICE("key")
#define HASH     UINT64_C(0x123456789)
#define DEADLINE INT64_C(1000)

static int64_t clock_ms;

static int64_t now_ms(const struct kv_host *host)
{
    (void)host;
    return clock_ms;
}

static const struct kv_host host = {.now_ms = now_ms};

static int set_up(void **state)
{
    clock_ms = 0;
    *state = states_create(&host, 1 << 20);
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    states_destroy(*state);
    return 0;
}

static struct entry *state_of(const char *value, uint64_t revision, int64_t deadline_ms)
{
    return entry_create(KEY, HASH, kv_slice_of(value), revision, deadline_ms);
}

static enum glance look(struct states *states, uint64_t *ret_generation)
{
    struct entry *entry = NULL;
    uint64_t generation;
    enum glance glance = states_look(states, KEY, HASH, &entry, &generation);
    if (ret_generation != NULL)
        *ret_generation = generation;
    entry_unref(entry);
    return glance;
}

/* The revision that a reader finds. */
static uint64_t revision_seen(struct states *states)
{
    struct entry *entry = NULL;
    uint64_t generation;
    assert_int_equal(states_look(states, KEY, HASH, &entry, &generation), GLANCE_FOUND);
    uint64_t revision = entry->revision;
    entry_unref(entry);
    return revision;
}

/* A reader stores the engine's state of the key. */
static enum glance settle(struct states *states, uint64_t generation, struct entry *found)
{
    struct entry *entry = NULL;
    enum glance glance = states_settle(states, HASH, generation, found, &entry);
    entry_unref(entry);
    return glance;
}

/* The writer creates `next` for a new key. */
static struct entry *hold(struct states *states)
{
    bool is_unknown;
    return states_hold(states, KEY, HASH, &is_unknown);
}

static void write_key(struct states *states, struct entry *next)
{
    bool is_unknown;
    struct entry *held = states_hold(states, KEY, HASH, &is_unknown);
    assert_true(is_unknown);
    held = states_learn(states, held, NULL);
    states_publish(states, held, next);
    states_let_go(states, next);
    entry_unref(held);
}

static void unknown_key_is_read_and_kept(void **state)
{
    uint64_t generation;
    assert_int_equal(look(*state, &generation), GLANCE_UNKNOWN);
    assert_int_equal(settle(*state, generation, state_of("1", 1, KV_NEVER)), GLANCE_FOUND);
    assert_int_equal(revision_seen(*state), 1);
}

static void missing_key_takes_no_memory(void **state)
{
    uint64_t generation;
    look(*state, &generation);
    assert_int_equal(settle(*state, generation, NULL), GLANCE_MISSING);
    assert_int_equal(look(*state, NULL), GLANCE_UNKNOWN);
}

static void state_before_a_batch_is_visible_until_the_batch_is_published(void **state)
{
    uint64_t generation;
    look(*state, &generation);
    settle(*state, generation, state_of("1", 1, KV_NEVER));
    struct entry *held = hold(*state);
    struct entry *next = state_of("2", 2, KV_NEVER);
    assert_int_equal(revision_seen(*state), 1);
    states_publish(*state, held, next);
    assert_int_equal(revision_seen(*state), 2);
    states_let_go(*state, next);
    assert_int_equal(revision_seen(*state), 2);
    entry_unref(held);
    entry_unref(next);
}

/* The engine may already have had the batch when the reader asked it. */
static void read_overtaken_by_a_batch_is_stale(void **state)
{
    uint64_t generation;
    look(*state, &generation);
    struct entry *next = state_of("1", 1, KV_NEVER);
    write_key(*state, next);
    assert_int_equal(settle(*state, generation, state_of("1", 1, KV_NEVER)), GLANCE_STALE);
    entry_unref(next);
}

static void deleted_key_is_missing_while_held_and_forgotten_afterwards(void **state)
{
    struct entry *known = state_of("1", 1, KV_NEVER);
    struct entry *gone = entry_create_absent(KEY, HASH);
    struct entry *held = hold(*state);
    held = states_learn(*state, held, entry_ref(known));
    assert_ptr_equal(held, known);
    states_publish(*state, known, gone);
    assert_int_equal(look(*state, NULL), GLANCE_MISSING);
    states_let_go(*state, gone);
    assert_int_equal(look(*state, NULL), GLANCE_UNKNOWN);
    entry_unref(held);
    entry_unref(known);
    entry_unref(gone);
}

/* Both read the engine, and the second finds the state that the first has stored. */
static void two_holders_of_a_key_share_one_state(void **state)
{
    struct entry *one = hold(*state);
    struct entry *other = hold(*state);
    one = states_learn(*state, one, state_of("1", 1, KV_NEVER));
    other = states_learn(*state, other, state_of("1", 1, KV_NEVER));
    assert_ptr_equal(one, other);
    assert_int_equal(revision_seen(*state), 1);
    states_let_go(*state, one);
    assert_int_equal(revision_seen(*state), 1);
    states_let_go(*state, other);
    entry_unref(one);
    entry_unref(other);
}

static void key_is_held_until_its_last_holder_releases_it(void **state)
{
    struct entry *one = hold(*state);
    struct entry *other = states_learn(*state, hold(*state), NULL);
    struct entry *next = state_of("1", 1, KV_NEVER);
    next->deadline_ms = DEADLINE;
    states_publish(*state, other, next);
    states_let_go(*state, next);
    clock_ms = DEADLINE;
    assert_int_equal(look(*state, NULL), GLANCE_HELD);
    states_let_go(*state, one);
    assert_int_equal(look(*state, NULL), GLANCE_MISSING);
    entry_unref(one);
    entry_unref(other);
    entry_unref(next);
}

/* Publishes the state of KEY from the journal's record `sequence`, and releases the key. Takes
 * ownership of `next`. */
static void publish_of_record(struct states *states, struct entry *next, uint64_t sequence)
{
    bool is_unknown;
    struct entry *held = states_hold(states, KEY, HASH, &is_unknown);
    if (is_unknown)
        held = states_learn(states, held, NULL);
    next->sequence = sequence;
    states_publish(states, held, next);
    states_let_go(states, next);
    entry_unref(held);
    entry_unref(next);
}

/* Otherwise a reader would ask the engine, which still has the old state. */
static void deleted_key_is_kept_as_missing_until_the_engine_has_the_delete(void **state)
{
    publish_of_record(*state, state_of("1", 1, KV_NEVER), 5);
    states_applied(*state, 5);
    publish_of_record(*state, entry_create_absent(KEY, HASH), 6);
    assert_int_equal(look(*state, NULL), GLANCE_MISSING);
    states_applied(*state, 6);
    struct entry *held = hold(*state);
    states_let_go(*state, held);
    entry_unref(held);
    assert_int_equal(look(*state, NULL), GLANCE_UNKNOWN);
}

static void too_large_state_is_evicted_once_the_engine_has_it(void **state)
{
    static char large[1 << 16];
    memset(large, 'a', sizeof(large) - 1);
    publish_of_record(*state, state_of(large, 1, KV_NEVER), 5);
    assert_int_equal(look(*state, NULL), GLANCE_FOUND);
    states_applied(*state, 4);
    assert_int_equal(look(*state, NULL), GLANCE_FOUND);
    states_applied(*state, 5);
    assert_int_equal(look(*state, NULL), GLANCE_UNKNOWN);
}

static void expired_key_is_missing_unless_the_writer_may_extend_it(void **state)
{
    uint64_t generation;
    look(*state, &generation);
    settle(*state, generation, state_of("1", 1, DEADLINE));
    clock_ms = DEADLINE - 1;
    assert_int_equal(look(*state, NULL), GLANCE_FOUND);
    clock_ms = DEADLINE;
    assert_int_equal(look(*state, NULL), GLANCE_MISSING);
    struct entry *held = hold(*state);
    assert_int_equal(look(*state, NULL), GLANCE_HELD);
    states_let_go(*state, held);
    assert_int_equal(look(*state, NULL), GLANCE_MISSING);
    entry_unref(held);
}

/* All of these keys fall into one shard. */
static struct kv_slice numbered(char key[16], int i)
{
    snprintf(key, 16, "%d", i);
    return kv_slice_of(key);
}

static enum glance look_numbered(struct states *states, int i, uint64_t *ret_generation)
{
    char key[16];
    struct entry *entry = NULL;
    enum glance glance = states_look(states, numbered(key, i), (uint64_t)i, &entry, ret_generation);
    entry_unref(entry);
    return glance;
}

static void read_numbered(struct states *states, int i)
{
    char key[16];
    struct entry *entry = NULL;
    uint64_t generation;
    if (look_numbered(states, i, &generation) == GLANCE_UNKNOWN)
        states_settle(states, (uint64_t)i, generation,
                      entry_create(numbered(key, i), (uint64_t)i, KV_SLICE("value"), 1, KV_NEVER),
                      &entry);
    entry_unref(entry);
}

static void memory_is_bounded_and_used_keys_are_kept(void **state)
{
    enum {
        MANY = 10000,
        OFTEN = 3
    };
    int n_kept = 0;
    for (int i = 0; i < MANY; i++) {
        read_numbered(*state, i);
        read_numbered(*state, OFTEN);
    }
    for (int i = 0; i < MANY; i++) {
        uint64_t generation;
        n_kept += look_numbered(*state, i, &generation) == GLANCE_FOUND;
    }
    uint64_t generation;
    assert_int_equal(look_numbered(*state, OFTEN, &generation), GLANCE_FOUND);
    assert_true(n_kept > 10 && n_kept < 100); /* a shard has 4 KiB */
}

static void held_key_is_never_evicted(void **state)
{
    uint64_t generation;
    look(*state, &generation);
    settle(*state, generation, state_of("1", 1, KV_NEVER));
    struct entry *held = hold(*state);
    for (int i = 0; i < 1000; i++)
        read_numbered(*state, i);
    assert_int_equal(revision_seen(*state), 1);
    states_let_go(*state, held);
    entry_unref(held);
}

int main(void)
{
#define STATES_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STATES_TEST(unknown_key_is_read_and_kept),
        STATES_TEST(missing_key_takes_no_memory),
        STATES_TEST(state_before_a_batch_is_visible_until_the_batch_is_published),
        STATES_TEST(read_overtaken_by_a_batch_is_stale),
        STATES_TEST(deleted_key_is_missing_while_held_and_forgotten_afterwards),
        STATES_TEST(two_holders_of_a_key_share_one_state),
        STATES_TEST(key_is_held_until_its_last_holder_releases_it),
        STATES_TEST(deleted_key_is_kept_as_missing_until_the_engine_has_the_delete),
        STATES_TEST(too_large_state_is_evicted_once_the_engine_has_it),
        STATES_TEST(expired_key_is_missing_unless_the_writer_may_extend_it),
        STATES_TEST(memory_is_bounded_and_used_keys_are_kept),
        STATES_TEST(held_key_is_never_evicted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
