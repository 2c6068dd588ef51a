/* The chain of the store `redis`: which of the pushed and logged changes are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "chain.h"
#include "fetch.h"

enum {
    BEGINNING = 1000,
    ORIGIN = 7,
    MARK = 9,
    OWN = TOKEN_NODE | 1,
    OTHER = TOKEN_NODE | 2,
    NONE = 0,
    HEAD = 70,
};

struct rig {
    struct kv_store_host host;
    struct kv_store store;
    unsigned n_told, n_touched, n_logged;
    uint64_t last;
};

static struct rig *rig_of(const struct kv_store_host *host)
{
    return (struct rig *)(void *)host;
}

static void host_changed(const struct kv_store_host *host, uint32_t part,
                         const struct kv_change *change)
{
    assert_int_equal(part, 0);
    rig_of(host)->n_told++;
    rig_of(host)->last = change->revision;
}

static void host_touched(const struct kv_store_host *host, uint32_t part, struct kv_slice key,
                         uint64_t revision, int64_t deadline_ms)
{
    (void)part;
    (void)key;
    (void)revision;
    (void)deadline_ms;
    rig_of(host)->n_touched++;
}

static void host_wake_at(const struct kv_store_host *host, uint32_t part, int64_t deadline_ms)
{
    (void)host;
    (void)part;
    (void)deadline_ms;
}

static uint64_t host_hash(const struct kv_store_host *host, struct kv_slice key)
{
    (void)host;
    return key.len;
}

static void host_resync(const struct kv_store_host *host, uint32_t part)
{
    (void)host;
    (void)part;
    fail_msg("nothing is missing");
}

KV_PRINTF(3, 4)
static void host_log(const struct kv_host *host, enum kv_log_level level, const char *format, ...)
{
    (void)level;
    (void)format;
    rig_of((const struct kv_store_host *)(const void *)host)->n_logged++;
}

int fetch_record(struct kv_store *store, struct kv_slice key, struct kv_slice *ret_record)
{
    (void)store;
    (void)key;
    (void)ret_record;
    return -1;
}

void fetch_release(struct kv_store *store)
{
    (void)store;
}

static void begin(struct rig *rig, uint32_t node)
{
    *rig = (struct rig){.host = {.base = {.log = host_log},
                                 .hash = host_hash,
                                 .changed = host_changed,
                                 .changed_elsewhere = host_changed,
                                 .touched = host_touched,
                                 .wake_at = host_wake_at,
                                 .resync = host_resync}};
    rig->store.host = &rig->host;
    rig->store.node = node;
    rig->store.position = rig->store.newest = BEGINNING;
}

/* An event of the key `k`, whose value is `1`, that a command sent to the node has caused. */
static struct kv_slice make_event(char *bytes, enum event_op op, uint64_t revision, uint32_t node)
{
    bool is_set = op == EVENT_SET;
    memset(bytes, 0, HEAD);
    bytes[0] = (char)op;
    event_write_number(bytes + 2, op == EVENT_DEADLINE ? 0 : revision - 1);
    event_write_number(bytes + 10, revision);
    event_write_number(bytes + 26, is_set ? 0 : 1);
    event_write_number(bytes + 42, ORIGIN);
    event_write_number(bytes + 50, event_token_number(MARK, node, 1));
    bytes[61] = 1;
    bytes[65] = is_set ? 1 : 0;
    bytes[HEAD] = 'k';
    bytes[HEAD + 1] = '1';
    return (struct kv_slice){bytes, HEAD + 1 + (is_set ? 1 : 0)};
}

static void token_names_node(void **state)
{
    (void)state;
    const uint64_t counts[] = {1, 0xffffff, 0x1000000, UINT64_MAX};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        uint64_t number = event_token_number(MARK, OWN, counts[i]);
        assert_int_equal(event_token_node(number), OWN);
        assert_int_equal(number >> TOKEN_MARK_AT, MARK);
        assert_int_equal(number & 0xffffff, counts[i] & 0xffffff);
    }
}

/* However many commands a server has sent that knows of no nodes. */
static void token_without_node_names_none(void **state)
{
    (void)state;
    const uint64_t counts[] = {0, 1, 0xffffffff, UINT64_C(0x7fffffffffff), UINT64_MAX};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        uint64_t number = event_token_number(0xffff, NONE, counts[i]);
        assert_int_equal(event_token_node(number), NONE);
        assert_int_equal(number >> TOKEN_MARK_AT, 0xffff);
    }
}

static void push_of_another_node_is_dropped(void **state)
{
    (void)state;
    const enum event_op ops[] = {EVENT_SET, EVENT_DELETE, EVENT_EXPIRE, EVENT_DEADLINE};
    char bytes[HEAD + 2];
    struct rig rig;
    begin(&rig, OWN);
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        assert_int_equal(chain_take(&rig.store, make_event(bytes, ops[i], BEGINNING + 1, OTHER)),
                         0);
    assert_int_equal(rig.n_told + rig.n_touched, 0);
    assert_int_equal(rig.n_logged, 1);
    assert_int_equal(rig.store.position, BEGINNING);
}

/* The chain continues behind what was dropped, and what does not continue it is dropped too. */
static void push_of_own_node_is_told(void **state)
{
    (void)state;
    char bytes[HEAD + 2];
    struct rig rig;
    begin(&rig, OWN);
    chain_take(&rig.store, make_event(bytes, EVENT_SET, BEGINNING + 1, OTHER));
    assert_int_equal(chain_take(&rig.store, make_event(bytes, EVENT_SET, BEGINNING + 1, OWN)), 0);
    assert_int_equal(chain_take(&rig.store, make_event(bytes, EVENT_SET, BEGINNING + 9, OTHER)), 0);
    assert_int_equal(chain_take(&rig.store, make_event(bytes, EVENT_DEADLINE, BEGINNING, OWN)), 0);
    assert_int_equal(rig.n_told, 1);
    assert_int_equal(rig.n_touched, 1);
    assert_int_equal(rig.store.position, BEGINNING + 1);
}

/* Of a server of an older version, or at a Redis without a cluster. */
static void push_without_node_is_told(void **state)
{
    (void)state;
    char bytes[HEAD + 2];
    struct rig rig;
    begin(&rig, OWN);
    chain_take(&rig.store, make_event(bytes, EVENT_SET, BEGINNING + 1, NONE));
    assert_int_equal(rig.n_told, 1);
    begin(&rig, NONE);
    chain_take(&rig.store, make_event(bytes, EVENT_SET, BEGINNING + 1, OTHER));
    assert_int_equal(rig.n_told, 1);
}

/* A replica that was promoted has the log of its master. */
static void logged_change_of_another_node_is_told(void **state)
{
    (void)state;
    char bytes[HEAD + 2];
    struct rig rig;
    begin(&rig, OWN);
    chain_take_logged(&rig.store, make_event(bytes, EVENT_SET, BEGINNING + 1, OTHER));
    assert_int_equal(rig.n_told, 1);
    assert_int_equal(rig.last, BEGINNING + 1);
}

static void faults_of_an_entry_are_told_apart_from_those_that_pass(void **state)
{
    (void)state;
    char bytes[HEAD + 2];
    struct rig rig;
    begin(&rig, OWN);
    struct kv_slice events = make_event(bytes, EVENT_SET, BEGINNING + 1, OWN);
    struct kv_slice cut = {events.bytes, events.len - 1};
    assert_int_equal(chain_take_logged(&rig.store, cut), CHAIN_BROKEN);
    bytes[1] = 1; /* the value is left out, and cannot be fetched */
    assert_int_equal(chain_take_logged(&rig.store, cut), CHAIN_NOT_NOW);
    assert_int_equal(rig.store.position, BEGINNING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_names_node),
        cmocka_unit_test(token_without_node_names_none),
        cmocka_unit_test(push_of_another_node_is_dropped),
        cmocka_unit_test(push_of_own_node_is_told),
        cmocka_unit_test(push_without_node_is_told),
        cmocka_unit_test(logged_change_of_another_node_is_told),
        cmocka_unit_test(faults_of_an_entry_are_told_apart_from_those_that_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
