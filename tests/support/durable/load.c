/*
 * The clients, all in one thread: writers that keep several messages in flight, and subscribers.
 * After the server is killed, everything it has still sent is read and counts as answered or
 * notified.
 */
#include "support/durable/impl.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* splitmix64 */
static uint64_t draw(struct kv_test_witness *witness, uint64_t below)
{
    uint64_t z = witness->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % below;
}

static struct state *state_of(struct kv_test_witness *witness, const struct request *request)
{
    return &witness->keys[request->key].states[request->state];
}

/* The latest state that may have taken effect. */
static const struct state *last_state(const struct key *key)
{
    size_t at = key->n - 1;
    while (at > 0 && key->states[at].is_refused)
        at--;
    return &key->states[at];
}

/* ---- writing ---- */

struct condition {
    bool is_absent;
    uint64_t revision; /* 0: none */
};

/* Chooses a client's next write to a key. Returns: the condition. */
static struct condition plan(struct kv_test_witness *witness, struct key *key, struct state *state)
{
    const struct state last = *last_state(key);
    uint64_t drawn = draw(witness, 20);
    *state = (struct state){0};
    if (drawn < 3)
        return (struct condition){0}; /* a delete */
    if (drawn < 5 && last.number != 0) {
        state->number = last.number;
        state->ttl_ms = draw(witness, 3) == 0 ? 0 : 600000 + (int64_t)draw(witness, 600000);
        state->is_touch = true;
        return (struct condition){0};
    }
    state->number = ++witness->last_number;
    if (drawn < 8)
        state->ttl_ms = 600000 + (int64_t)draw(witness, 600000);
    else if (drawn < 10)
        state->ttl_ms = 20 + (int64_t)draw(witness, 400);
    state->is_conditional = drawn >= 17;
    if (drawn == 17)
        return (struct condition){.is_absent = true};
    if (drawn > 17)
        return (struct condition){.revision = last.revision == 0 ? 1 : last.revision};
    return (struct condition){0};
}

static void put_message(struct writer *writer, size_t key, const struct state *state,
                        struct condition condition)
{
    struct kv_buffer text = {0};
    kv_buffer_printf(&text, "{\"type\":\"%s\",\"id\":%ju,\"payload\":{\"key\":\"k%zu\"",
                     state->number == 0 ? "delete" : "set", (uintmax_t)writer->next_id++, key);
    if (state->number != 0) {
        kv_buffer_append(&text, KV_SLICE(",\"value\":"));
        kv_test_value_write(&text, state->number);
        kv_buffer_printf(&text, ",\"ttl\":%jd", (intmax_t)state->ttl_ms);
    }
    if (condition.is_absent)
        kv_buffer_append(&text, KV_SLICE(",\"if_absent\":true"));
    if (condition.revision != 0)
        kv_buffer_printf(&text, ",\"if_revision\":%ju", (uintmax_t)condition.revision);
    kv_buffer_append(&text, KV_SLICE("}}"));
    kv_test_ws_put(&writer->ws, kv_buffer_slice(&text));
    kv_buffer_fini(&text);
}

static void put_request(struct writer *writer, size_t key, const struct state *state,
                        struct condition condition)
{
    struct kv_buffer request = {0}, body = {0};
    char path[32], header[64] = "";
    int path_len = snprintf(path, sizeof(path), "/storage/k%zu", key);
    if (condition.is_absent)
        snprintf(header, sizeof(header), "If-None-Match: *\r\n");
    if (condition.revision != 0)
        snprintf(header, sizeof(header), "If-Match: \"%ju\"\r\n", (uintmax_t)condition.revision);
    if (state->number != 0) {
        kv_buffer_append(&body, KV_SLICE("{\"value\":"));
        kv_test_value_write(&body, state->number);
        kv_buffer_printf(&body, ",\"ttl\":%jd}", (intmax_t)state->ttl_ms);
    }
    kv_test_http_write(&request, state->number == 0 ? "DELETE" : "POST",
                       (struct kv_slice){path, (size_t)path_len}, header, kv_buffer_slice(&body));
    kv_test_stream_put(&writer->ws.stream, kv_buffer_slice(&request));
    kv_buffer_fini(&request);
    kv_buffer_fini(&body);
}

static void write_once(struct kv_test_witness *witness, struct writer *writer)
{
    size_t number = writer->first_key + draw(witness, KEYS_EACH);
    struct key *key = &witness->keys[number];
    struct state planned;
    struct condition condition = plan(witness, key, &planned);
    struct state *state = kv_test_key_add(key);
    *state = planned;
    state->sent_ms = kv_test_now_ms();
    if (writer->is_http)
        put_request(writer, number, state, condition);
    else
        put_message(writer, number, state, condition);
    writer->pending[(writer->first + writer->n_pending++) % DEPTH] =
        (struct request){.key = number, .state = key->n - 1};
}

static void fill(struct kv_test_witness *witness, struct writer *writer)
{
    size_t depth = writer->is_http ? 1 : 1 + draw(witness, DEPTH);
    while (writer->n_pending < depth && !writer->ws.stream.is_ended)
        write_once(witness, writer);
}

/* ---- answers ---- */

static void note_answer(struct kv_test_witness *witness, struct writer *writer, bool is_ok,
                        uint64_t revision)
{
    assert_true(writer->n_pending != 0);
    const struct request *request = &writer->pending[writer->first];
    struct key *key = &witness->keys[request->key];
    struct state *state = state_of(witness, request);
    writer->first = (writer->first + 1) % DEPTH;
    writer->n_pending--;
    state->answered_ms = kv_test_now_ms();
    state->revision = revision;
    state->is_refused = !is_ok;
    witness->counts.answered += is_ok;
    witness->counts.refused += !is_ok;
    if (!is_ok) {
        assert_true(state->is_conditional);
        return;
    }
    key->answered = request->state;
    if (revision != 0)
        kv_test_revisions_note(&witness->revisions, revision,
                               state->number != 0 ? state->number : ~(uint64_t)request->key);
}

static bool take_message(struct kv_test_witness *witness, struct writer *writer)
{
    struct kv_test_frame frame;
    uint64_t revision;
    char id[24], key[24];
    if (!kv_test_ws_take(&writer->ws, &frame))
        return false;
    assert_int_equal(frame.opcode, KV_TEST_WS_TEXT);
    snprintf(id, sizeof(id), "%ju", (uintmax_t)writer->answer_id++);
    snprintf(key, sizeof(key), "\"k%zu\"", writer->pending[writer->first].key);
    bool is_ok = kv_test_ws_is_ok(frame.payload, id, key, &revision);
    if (!is_ok && !kv_slice_has_prefix(frame.payload, KV_SLICE("{\"type\":\"error\",\"id\":")))
        fail_msg("unexpected: %.*s", (int)frame.payload.len, frame.payload.bytes);
    note_answer(witness, writer, is_ok, is_ok ? revision : 0);
    return true;
}

static bool take_response(struct kv_test_witness *witness, struct writer *writer)
{
    struct kv_test_response response = {0};
    struct kv_slice unread = kv_test_stream_unread(&writer->ws.stream);
    if (unread.len == 0 || !kv_test_http_receive(&writer->ws.stream, &response))
        return false;
    bool is_ok = response.status == 202 || response.status == 200;
    assert_true(is_ok || response.status == 412);
    note_answer(witness, writer, is_ok, kv_test_etag_read(&response));
    kv_test_response_fini(&response);
    return true;
}

static void take_answers(struct kv_test_witness *witness, struct writer *writer)
{
    while (writer->is_http ? take_response(witness, writer) : take_message(witness, writer))
        continue;
}

/* ---- notifications ---- */

/* Finds the first state with that number, starting at the latest one notified. */
static void note_told(struct kv_test_witness *witness, struct key *key, size_t subscriber,
                      uint64_t number)
{
    size_t at = key->told[subscriber];
    while (at < key->n && (key->states[at].number != number || key->states[at].is_refused))
        at++;
    if (at == key->n)
        fail_msg("notified of %ju, which is not a later state", (uintmax_t)number);
    key->told[subscriber] = at;
    witness->counts.told++;
}

/* If the state may have expired, the notification proves no later delete. */
static void note_told_missing(struct kv_test_witness *witness, struct key *key, size_t subscriber)
{
    size_t at = key->told[subscriber];
    while (at < key->n && key->states[at].number != 0 && key->states[at].ttl_ms == 0)
        at++;
    if (at == key->n)
        fail_msg("notified that a key is gone, but it was never deleted");
    if (key->states[at].ttl_ms == 0)
        note_told(witness, key, subscriber, 0);
}

static void read_change(struct kv_test_witness *witness, size_t subscriber, struct kv_slice text)
{
    struct kv_slice value = KV_SLICE("{\"type\":\"value\",\"payload\":{\"key\":\"k");
    struct kv_slice missing = KV_SLICE("{\"type\":\"no-value\",\"payload\":{\"key\":\"k");
    bool has_value = kv_slice_has_prefix(text, value);
    if (!has_value && !kv_slice_has_prefix(text, missing))
        fail_msg("unexpected: %.*s", (int)text.len, text.bytes);
    char *end;
    size_t number = strtoul(text.bytes + (has_value ? value.len : missing.len), &end, 10);
    assert_true(number < N_KEYS);
    struct key *key = &witness->keys[number];
    const char *start = end + strlen("\",\"value\":");
    size_t len = (size_t)(text.bytes + text.len - start) - strlen("}}");
    if (has_value)
        note_told(witness, key, subscriber, kv_test_value_read((struct kv_slice){start, len}));
    else
        note_told_missing(witness, key, subscriber);
}

static void take_changes(struct kv_test_witness *witness, size_t subscriber)
{
    struct kv_test_frame frame;
    while (kv_test_ws_take(&witness->subscribers[subscriber], &frame))
        read_change(witness, subscriber, frame.payload);
}

/* ---- the load ---- */

/* Waits until the subscriptions are active. Expiries from the downtime, or of this moment, may be
 * notified before the answer. */
static void await_fence(struct kv_test_ws *subscriber)
{
    struct kv_test_frame frame;
    kv_test_ws_send_text(subscriber,
                         "{\"type\":\"get\",\"id\":\"fence\",\"payload\":{\"key\":\"fence\"}}");
    do {
        assert_true(kv_test_ws_receive(subscriber, &frame));
        assert_true(kv_slice_has_prefix(frame.payload, KV_SLICE("{\"type\":\"no-value\"")));
    } while (
        !kv_slice_has_prefix(frame.payload, KV_SLICE("{\"type\":\"no-value\",\"id\":\"fence\"")));
}

static void subscribe(struct kv_test_ws *subscriber, uint16_t port)
{
    kv_test_ws_open(subscriber, port);
    for (int key = 0; key < N_KEYS; key++)
        kv_test_ws_put_text(subscriber, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"k%d\"}}",
                            key);
    await_fence(subscriber);
}

static void connect_all(struct kv_test_witness *witness, uint16_t port)
{
    for (size_t i = 0; i < SUBSCRIBERS; i++)
        subscribe(&witness->subscribers[i], port);
    for (size_t i = 0; i < WRITERS; i++) {
        struct writer *writer = &witness->writers[i];
        *writer = (struct writer){.is_http = i >= SOCKETS, .first_key = i * KEYS_EACH};
        if (writer->is_http)
            kv_test_stream_open(&writer->ws.stream, port);
        else
            kv_test_ws_open(&writer->ws, port);
    }
}

static void take_all(struct kv_test_witness *witness)
{
    for (size_t i = 0; i < WRITERS; i++)
        take_answers(witness, &witness->writers[i]);
    for (size_t i = 0; i < SUBSCRIBERS; i++)
        take_changes(witness, i);
}

/* Returns: the number of open connections. */
static size_t turn(struct kv_test_witness *witness, int64_t limit_ms)
{
    struct kv_test_stream *streams[WRITERS + SUBSCRIBERS];
    size_t n = 0, n_left = 0;
    for (size_t i = 0; i < WRITERS; i++)
        streams[n++] = &witness->writers[i].ws.stream;
    for (size_t i = 0; i < SUBSCRIBERS; i++)
        streams[n++] = &witness->subscribers[i].stream;
    kv_test_stream_turn(streams, n, limit_ms);
    take_all(witness);
    for (size_t i = 0; i < n; i++)
        n_left += !streams[i]->is_ended;
    return n_left;
}

static void disconnect_all(struct kv_test_witness *witness)
{
    for (size_t i = 0; i < WRITERS; i++) {
        witness->counts.unanswered += witness->writers[i].n_pending;
        kv_test_stream_close(&witness->writers[i].ws.stream);
    }
    for (size_t i = 0; i < SUBSCRIBERS; i++)
        kv_test_ws_close(&witness->subscribers[i]);
}

void kv_test_witness_load(struct kv_test_witness *witness, struct kv_test_server *server,
                          int64_t duration_ms)
{
    connect_all(witness, server->port);
    int64_t end_ms = kv_test_now_ms() + duration_ms;
    while (kv_test_now_ms() < end_ms) {
        for (size_t i = 0; i < WRITERS; i++)
            fill(witness, &witness->writers[i]);
        assert_int_equal(turn(witness, end_ms - kv_test_now_ms()), WRITERS + SUBSCRIBERS);
    }
    kill(server->program.pid, SIGKILL);
    while (turn(witness, KV_TEST_LIMIT_MS) != 0)
        continue;
    witness->killed_ms = kv_test_now_ms();
    disconnect_all(witness);
    kv_test_server_kill(server);
}
