/*
 * Linearizability through the whole server: many connections, on several event loops, send random
 * commands on few keys, some in flight at once; keys expire meanwhile. The checker (support/linear)
 * judges the results of all connections for each key. The notifications must be the key's history:
 * every change, once, in order, and nothing older after something newer.
 *
 * Values are unique, so each identifies its write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fixture.h"
#include "support/linear/linear.h"

enum {
    CONNECTIONS = 8,
    LISTENERS = 4, /* of these connections, those that subscribe as well */
    KEYS = 3,
    IN_FLIGHT = 3,       /* on each connection */
    OPS_A_ROUND = 24,    /* of each connection */
    LONGEST_TTL_MS = 12, /* about as long as some rounds */
    ROUNDED_UP_MS = 3,   /* deadlines, and both clocks, are whole milliseconds */
    MOST_OPS = CONNECTIONS * OPS_A_ROUND + 1,
    MOST_NEWS = 4 * MOST_OPS,
    OPERATIONS = 20000,
};

/* The shown state of a key: a value's number, or 0 for none. */
struct news {
    size_t key;
    uint64_t value;
};

struct connection {
    struct kv_test_ws ws;
    uint32_t index;
    unsigned seed;
    size_t n_sent, n_answered; /* in this round */
    struct linear_op ops[OPS_A_ROUND];
    size_t key_of[OPS_A_ROUND];
    struct news news[MOST_NEWS]; /* changes, and answers to gets, as they came */
    size_t n_news;
};

/* A key as the test knows it between two rounds. */
struct known {
    struct linear_state state;
    uint64_t told_value; /* the state that the subscriber was told last */
    int64_t told_deadline_ms;
};

struct contest {
    struct connection connections[CONNECTIONS];
    struct connection subscriber; /* to all keys, from the start */
    struct known known[KEYS];
    uint64_t stamp;
    uint64_t n_values;
    uint64_t revision; /* some revision that was right lately */
    int round;
};

/* The server's clock: both are on one machine. */
static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- sending ---- */

static int draw(struct connection *connection, int n)
{
    return rand_r(&connection->seed) % n;
}

static void put_set(struct contest *contest, struct connection *connection, struct linear_op *op,
                    size_t key)
{
    int ttl = draw(connection, 2) == 0 ? 0 : 1 + draw(connection, LONGEST_TTL_MS);
    int cond = draw(connection, 6);
    char condition[64] = "";
    op->op = KV_OP_SET;
    op->value = ++contest->n_values;
    op->earliest_deadline_ms = ttl == 0 ? KV_NEVER : op->called_ms + ttl;
    op->latest_deadline_ms = ttl == 0 ? KV_NEVER : ttl; /* when it is answered: plus the time */
    if (cond == 0) {
        op->cond = KV_COND_ABSENT;
        snprintf(condition, sizeof(condition), ",\"if_absent\":true");
    } else if (cond == 1 && contest->revision != 0) {
        op->cond = KV_COND_REVISION;
        op->if_revision = contest->revision;
        snprintf(condition, sizeof(condition), ",\"if_revision\":%ju",
                 (uintmax_t)contest->revision);
    }
    kv_test_ws_put_text(&connection->ws,
                        "{\"type\":\"set\",\"id\":%zu,\"payload\":{\"key\":\"k%zu\",\"value\":%ju,"
                        "\"ttl\":%d%s}}",
                        connection->n_sent, key, (uintmax_t)op->value, ttl, condition);
}

static void put_command(struct contest *contest, struct connection *connection)
{
    struct linear_op *op = &connection->ops[connection->n_sent];
    size_t key = connection->key_of[connection->n_sent] = (size_t)draw(connection, KEYS);
    int kind = draw(connection, 10);
    *op = (struct linear_op){.client = connection->index,
                             .called = contest->stamp++,
                             .called_ms = clock_ms(),
                             .earliest_deadline_ms = KV_NEVER,
                             .latest_deadline_ms = KV_NEVER};
    if (kind < 5) {
        put_set(contest, connection, op, key);
    } else {
        op->op = kind < 9 ? KV_OP_GET : KV_OP_DELETE;
        kv_test_ws_put_text(&connection->ws,
                            "{\"type\":\"%s\",\"id\":%zu,\"payload\":{\"key\":\"k%zu\"}}",
                            op->op == KV_OP_GET ? "get" : "delete", connection->n_sent, key);
    }
    connection->n_sent++;
}

/* ---- receiving ---- */

/* The number behind the mark in a message of ours; UINT64_MAX where there is none. */
static uint64_t number_behind(const char *text, const char *mark)
{
    const char *at = strstr(text, mark);
    return at == NULL ? UINT64_MAX : strtoull(at + strlen(mark), NULL, 10);
}

static bool is_type(const char *text, const char *type)
{
    size_t len = strlen(type);
    return strncmp(text, "{\"type\":\"", 9) == 0 && strncmp(text + 9, type, len) == 0 &&
           text[9 + len] == '"';
}

static void note_news(struct connection *connection, const char *text)
{
    assert_true(connection->n_news < MOST_NEWS);
    struct news *news = &connection->news[connection->n_news++];
    news->key = number_behind(text, "\"key\":\"k");
    news->value = is_type(text, "value") ? number_behind(text, "\"value\":") : 0;
    assert_true(news->key < KEYS);
}

static void take_answer(struct contest *contest, struct linear_op *op, const char *text)
{
    op->returned = contest->stamp++;
    op->returned_ms = clock_ms();
    op->revision = number_behind(text, "\"revision\":");
    op->status = KV_OK;
    if (op->op == KV_OP_SET && op->latest_deadline_ms != KV_NEVER)
        op->latest_deadline_ms += op->returned_ms + ROUNDED_UP_MS;
    if (is_type(text, "error"))
        op->status = KV_CONDITION;
    else if (is_type(text, "no-value") || (op->op == KV_OP_DELETE && op->revision == UINT64_MAX))
        op->status = KV_MISSING;
    else if (op->op == KV_OP_GET)
        op->seen_value = number_behind(text, "\"value\":");
    else
        contest->revision = op->revision;
    _Static_assert(LINEAR_NOT_TOLD == UINT64_MAX, "a number that is not there was not told");
}

static void take_message(struct contest *contest, struct connection *connection, const char *text)
{
    uint64_t id = number_behind(text, "\"id\":");
    if (id == UINT64_MAX) {
        note_news(connection, text);
        return;
    }
    if (id != connection->n_answered)
        fail_msg("the answer to message %zu should come next, not %s", connection->n_answered,
                 text);
    struct linear_op *op = &connection->ops[connection->n_answered++];
    take_answer(contest, op, text);
    if (op->op == KV_OP_GET && connection != &contest->subscriber)
        note_news(connection, text);
}

static void take_messages(struct contest *contest, struct connection *connection)
{
    struct kv_test_frame frame;
    while (kv_test_ws_take(&connection->ws, &frame)) {
        char text[256];
        if (frame.opcode == KV_TEST_WS_PING)
            continue;
        assert_int_equal(frame.opcode, KV_TEST_WS_TEXT);
        assert_true(frame.payload.len < sizeof(text));
        memcpy(text, frame.payload.bytes, frame.payload.len);
        text[frame.payload.len] = '\0';
        take_message(contest, connection, text);
    }
    assert_false(connection->ws.stream.is_ended);
}

/* ---- a round ---- */

static void run_round(struct contest *contest)
{
    struct kv_test_stream *streams[CONNECTIONS + 1];
    for (size_t i = 0; i < CONNECTIONS; i++) {
        streams[i] = &contest->connections[i].ws.stream;
        contest->connections[i].n_sent = contest->connections[i].n_answered = 0;
        contest->connections[i].n_news = 0;
    }
    streams[CONNECTIONS] = &contest->subscriber.ws.stream;
    for (size_t n_done = 0; n_done < CONNECTIONS;) {
        for (size_t i = 0; i < CONNECTIONS; i++) {
            struct connection *one = &contest->connections[i];
            while (one->n_sent < OPS_A_ROUND && one->n_sent - one->n_answered < IN_FLIGHT)
                put_command(contest, one);
        }
        assert_true(kv_test_stream_turn(streams, CONNECTIONS + 1, KV_TEST_LIMIT_MS));
        n_done = 0;
        for (size_t i = 0; i < CONNECTIONS; i++) {
            take_messages(contest, &contest->connections[i]);
            n_done += contest->connections[i].n_answered == OPS_A_ROUND;
        }
        take_messages(contest, &contest->subscriber);
    }
}

/* The subscriber asks for the key: everything that it is told of it up to now comes before the
 * answer, which is the last command of the round. */
static struct linear_op fence(struct contest *contest, size_t key)
{
    struct connection *one = &contest->subscriber;
    one->n_sent = 1;
    one->n_answered = 0;
    one->ops[0] = (struct linear_op){.client = CONNECTIONS,
                                     .called = contest->stamp++,
                                     .called_ms = clock_ms(),
                                     .op = KV_OP_GET};
    kv_test_ws_put_text(&one->ws, "{\"type\":\"get\",\"id\":0,\"payload\":{\"key\":\"k%zu\"}}",
                        key);
    while (one->n_answered == 0) {
        kv_test_stream_wait(&one->ws.stream);
        take_messages(contest, one);
    }
    return one->ops[0];
}

/* ---- judging a round ---- */

static size_t gather(const struct contest *contest, size_t key, struct linear_op *ops)
{
    size_t n = 0;
    for (size_t i = 0; i < CONNECTIONS; i++)
        for (size_t j = 0; j < OPS_A_ROUND; j++)
            if (contest->connections[i].key_of[j] == key)
                ops[n++] = contest->connections[i].ops[j];
    return n;
}

static int by_revision(const void *a, const void *b)
{
    uint64_t one = ((const struct linear_op *)a)->revision;
    uint64_t other = ((const struct linear_op *)b)->revision;
    return (one > other) - (one < other);
}

/* Keeps the writes that made a change, in their order. */
static size_t keep_changes(struct linear_op *ops, size_t n)
{
    size_t n_changes = 0;
    for (size_t i = 0; i < n; i++)
        if (ops[i].op != KV_OP_GET && ops[i].status == KV_OK)
            ops[n_changes++] = ops[i];
    qsort(ops, n_changes, sizeof(*ops), by_revision);
    return n_changes;
}

static int64_t deadline_of(const struct linear_op *write)
{
    return write->op == KV_OP_SET ? write->earliest_deadline_ms : KV_NEVER;
}

/* `no-value` was told: it must be the next change, a delete, or the expiry of what is there. */
static bool is_expiry(const struct known *known, const struct linear_op *next)
{
    bool is_delete = next != NULL && next->op == KV_OP_DELETE;
    return !is_delete && known->told_value != 0 && known->told_deadline_ms <= clock_ms();
}

/* The subscriber's notifications of the key are the key's history. */
static void judge_subscriber(struct contest *contest, size_t key, const struct linear_op *changes,
                             size_t n)
{
    struct known *known = &contest->known[key];
    size_t at = 0;
    for (size_t i = 0; i < contest->subscriber.n_news; i++) {
        const struct news *news = &contest->subscriber.news[i];
        const struct linear_op *next = at < n ? &changes[at] : NULL;
        if (news->key != key)
            continue;
        if (news->value == 0 && is_expiry(known, next)) {
            known->told_value = 0;
            continue;
        }
        uint64_t expected = next != NULL && next->op == KV_OP_SET ? next->value : 0;
        if (next == NULL || news->value != expected)
            fail_msg("key %zu: value %ju was told where %ju, revision %ju, should have been", key,
                     (uintmax_t)news->value, (uintmax_t)expected,
                     next == NULL ? 0 : (uintmax_t)next->revision);
        known->told_value = expected;
        known->told_deadline_ms = deadline_of(next);
        at++;
    }
    if (at < n)
        fail_msg("key %zu: revision %ju was not told", key, (uintmax_t)changes[at].revision);
}

static size_t place_of(const struct linear_op *changes, size_t n, uint64_t value)
{
    for (size_t i = 0; i < n; i++)
        if (changes[i].op == KV_OP_SET && changes[i].value == value)
            return i + 1;
    return 0; /* from an earlier round */
}

/* A connection that subscribes is never shown an older value after a newer one. */
static void judge_listener(const struct connection *connection, size_t key,
                           const struct linear_op *changes, size_t n)
{
    size_t newest = 0;
    for (size_t i = 0; i < connection->n_news; i++) {
        const struct news *news = &connection->news[i];
        if (news->key != key || news->value == 0)
            continue;
        size_t place = place_of(changes, n, news->value);
        if (place < newest)
            fail_msg("connection %u: of key %zu, value %ju was shown after a newer one",
                     connection->index, key, (uintmax_t)news->value);
        newest = place;
    }
}

static void look_up_state(struct known *known, const struct linear_op *ops, size_t n,
                          const struct linear_op *last)
{
    struct linear_state *state = &known->state;
    for (size_t i = 0; i < n; i++) {
        const struct linear_op *op = &ops[i];
        if (op->op != KV_OP_GET && op->status == KV_OK && op->revision > state->newest)
            state->newest = op->revision;
        if (op->op != KV_OP_SET || op->status != KV_OK || op->value != last->seen_value)
            continue;
        state->value = op->value;
        state->revision = op->revision;
        state->earliest_deadline_ms = op->earliest_deadline_ms;
        state->latest_deadline_ms = op->latest_deadline_ms;
    }
    state->is_there = last->status == KV_OK;
    state->time_ms = last->called_ms;
}

static void judge_key(struct contest *contest, size_t key)
{
    static struct linear_op ops[MOST_OPS];
    struct known *known = &contest->known[key];
    const struct linear_op *stuck;
    size_t n = gather(contest, key, ops);
    ops[n++] = fence(contest, key);
    if (!linear_check(&known->state, ops, n, &stuck)) {
        struct kv_error text;
        linear_describe(stuck, &text);
        fail_msg("round %d, key %zu: no order explains %s", contest->round, key, text.text);
    }
    look_up_state(known, ops, n, &ops[n - 1]);
    n = keep_changes(ops, n);
    judge_subscriber(contest, key, ops, n);
    for (size_t i = 0; i < LISTENERS; i++)
        judge_listener(&contest->connections[i], key, ops, n);
}

/* ---- the test ---- */

static void open_connection(struct connection *connection, uint16_t port, uint32_t index,
                            bool subscribes)
{
    connection->index = index;
    connection->seed = index + 1;
    kv_test_ws_open(&connection->ws, port);
    for (int key = 0; subscribes && key < KEYS; key++)
        kv_test_ws_put_text(&connection->ws,
                            "{\"type\":\"subscribe\",\"payload\":{\"key\":\"k%d\"}}", key);
    kv_test_ws_expect_nothing(&connection->ws);
}

static void connections_observe_each_key_in_one_order(void **state)
{
    struct contest *contest = kv_calloc(1, sizeof(*contest));
    size_t operations = linear_operations(OPERATIONS);
    open_connection(&contest->subscriber, kv_test_port(state), CONNECTIONS, true);
    for (uint32_t i = 0; i < CONNECTIONS; i++)
        open_connection(&contest->connections[i], kv_test_port(state), i, i < LISTENERS);
    for (size_t n = 0; n < operations; n += CONNECTIONS * OPS_A_ROUND) {
        contest->round++;
        run_round(contest);
        for (size_t key = 0; key < KEYS; key++)
            judge_key(contest, key);
        contest->subscriber.n_news = 0;
    }
    for (size_t i = 0; i < CONNECTIONS; i++)
        kv_test_ws_close(&contest->connections[i].ws);
    kv_test_ws_close(&contest->subscriber.ws);
    free(contest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connections_observe_each_key_in_one_order),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
