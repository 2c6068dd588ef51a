/*
 * Each value bears a number of its own, from which the rest of it follows, so a value that is read
 * says which write it comes from, and any byte of it that is wrong shows.
 */
#include "support/durable/witness.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/client/ws.h"
#include "support/durable/revisions.h"

enum {
    SOCKETS = 6,    /* writers by WebSocket */
    REQUESTERS = 3, /* writers by HTTP */
    WRITERS = SOCKETS + REQUESTERS,
    SUBSCRIBERS = 2,
    KEYS_EACH = 16,
    N_KEYS = WRITERS * KEYS_EACH,
    DEPTH = 12,   /* messages in flight */
    SLACK_MS = 60 /* between the clocks of test and server */
};

#define NO_LIMIT INT64_MAX

/* ---- what is known of a key ---- */

struct state {
    uint64_t number; /* of the value; 0: there is none */
    int64_t ttl_ms;  /* 0: for ever */
    int64_t sent_ms;
    int64_t answered_ms; /* 0: it was not */
    uint64_t revision;   /* as answered; 0: not known */
    bool is_conditional;
    bool is_touch; /* the value of the state before, with another TTL */
    bool is_refused;
};

struct key {
    struct state *states; /* the first: what was found at the last check */
    size_t n, capacity;
    size_t answered;          /* the last state that was */
    size_t told[SUBSCRIBERS]; /* the last state that each subscriber saw */
};

struct request {
    size_t key, state;
};

struct writer {
    struct kv_test_ws ws; /* for HTTP its stream alone */
    bool is_http;
    size_t first_key;
    struct request pending[DEPTH]; /* a ring */
    size_t first, n_pending;
    uint64_t next_id; /* of messages; the answers' come in the same order */
    uint64_t answer_id;
};

struct kv_test_witness {
    uint64_t random;
    uint64_t last_number;
    int64_t killed_ms;
    struct key keys[N_KEYS];
    struct writer writers[WRITERS];
    struct kv_test_ws subscribers[SUBSCRIBERS];
    struct kv_test_revisions revisions; /* all that were ever seen */
    struct kv_test_witness_counts counts;
};

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

static struct state *add_state(struct key *key)
{
    if (key->n == key->capacity)
        key->states = kv_realloc(key->states,
                                 (key->capacity = 2 * key->capacity + 16) * sizeof(struct state));
    struct state *state = &key->states[key->n++];
    *state = (struct state){0};
    return state;
}

/* The last that may have taken effect. */
static const struct state *last_state(const struct key *key)
{
    size_t at = key->n - 1;
    while (at > 0 && key->states[at].is_refused)
        at--;
    return &key->states[at];
}

/* Now and then a value of several pages. */
static void append_value(struct kv_buffer *out, uint64_t number)
{
    size_t len = number % 29 == 0 ? 9000 + number % 4096 : number % 200;
    kv_buffer_printf(out, "{\"n\":%ju,\"text\":\"", (uintmax_t)number);
    memset(kv_buffer_reserve(out, len), 'a' + (int)(number % 26), len);
    out->len += len;
    kv_buffer_append(out, KV_SLICE("\"}"));
}

/* The number of a value that is whole; fails the test where it is none. */
static uint64_t read_value(struct kv_slice text)
{
    struct kv_buffer whole = {0};
    struct kv_slice start = KV_SLICE("{\"n\":");
    uint64_t number = 0;
    if (kv_slice_has_prefix(text, start))
        number = strtoull(text.bytes + start.len, NULL, 10);
    append_value(&whole, number);
    if (number == 0 || !kv_slice_equals(kv_buffer_slice(&whole), text))
        fail_msg("not a value that was written: %.*s", (int)text.len, text.bytes);
    kv_buffer_fini(&whole);
    return number;
}

/* ---- writing ---- */

struct condition {
    bool is_absent;
    uint64_t revision; /* 0: none */
};

static void plan_set(struct kv_test_witness *witness, struct state *state, int64_t ttl_ms)
{
    state->number = ++witness->last_number;
    state->ttl_ms = ttl_ms;
}

/* What a client does next with a key. Returns: the condition. */
static struct condition plan(struct kv_test_witness *witness, struct key *key, struct state *state)
{
    const struct state last = key->n < 2 ? key->states[0] : *last_state(key);
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
    plan_set(witness, state, 0);
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
        append_value(&text, state->number);
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
        append_value(&body, state->number);
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
    struct state *state = add_state(key);
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

/* ---- being answered ---- */

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

static uint64_t read_etag(const struct kv_test_response *response)
{
    const char *etag = kv_test_response_header(response, "etag");
    return etag == NULL ? 0 : strtoull(etag + 1, NULL, 10);
}

static bool take_response(struct kv_test_witness *witness, struct writer *writer)
{
    struct kv_test_response response = {0};
    struct kv_slice unread = kv_test_stream_unread(&writer->ws.stream);
    if (unread.len == 0 || !kv_test_http_receive(&writer->ws.stream, &response))
        return false;
    bool is_ok = response.status == 202 || response.status == 200;
    assert_true(is_ok || response.status == 412);
    note_answer(witness, writer, is_ok, read_etag(&response));
    kv_test_response_fini(&response);
    return true;
}

static void take_answers(struct kv_test_witness *witness, struct writer *writer)
{
    while (writer->is_http ? take_response(witness, writer) : take_message(witness, writer))
        continue;
}

/* ---- being told ---- */

/* The first state with that number from the last one told on. */
static void note_told(struct kv_test_witness *witness, struct key *key, size_t subscriber,
                      uint64_t number)
{
    size_t at = key->told[subscriber];
    while (at < key->n && (key->states[at].number != number || key->states[at].is_refused))
        at++;
    if (at == key->n)
        fail_msg("told of %ju, which is not a later state", (uintmax_t)number);
    key->told[subscriber] = at;
    witness->counts.told++;
}

/* A state that may have expired says nothing of the delete behind it. */
static void note_told_missing(struct kv_test_witness *witness, struct key *key, size_t subscriber)
{
    size_t at = key->told[subscriber];
    while (at < key->n && key->states[at].number != 0 && key->states[at].ttl_ms == 0)
        at++;
    if (at == key->n)
        fail_msg("told that a key is gone, which nobody deleted");
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
        note_told(witness, key, subscriber, read_value((struct kv_slice){start, len}));
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

/* Waits until the subscriptions are in force. What expired while the server was down, or expires
 * now, may be told before the answer. */
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

/* Returns: how many connections are left. */
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

/* ---- the check ---- */

/* A key as the server shows it. */
struct reading {
    uint64_t number; /* 0: missing */
    uint64_t revision;
    int64_t ttl_ms; /* left; 0: for ever */
    int64_t sent_ms, received_ms;
};

static struct reading read_key(struct kv_test_stream *stream, size_t key)
{
    struct kv_test_response response = {0};
    struct reading reading = {.sent_ms = kv_test_now_ms()};
    char path[32];
    snprintf(path, sizeof(path), "/storage/k%zu", key);
    int status = kv_test_http_ask(stream, "GET", path, NULL, NULL, &response);
    reading.received_ms = kv_test_now_ms();
    if (status == 200) {
        struct kv_slice body = kv_buffer_slice(&response.body);
        size_t start = strlen("{\"value\":");
        const char *ttl = kv_test_response_header(&response, "kv-ttl");
        reading.number = read_value((struct kv_slice){body.bytes + start, body.len - start - 1});
        reading.revision = read_etag(&response);
        reading.ttl_ms = ttl == NULL ? 0 : strtoll(ttl, NULL, 10);
    } else if (status != 204) {
        fail_msg("k%zu: %d %.*s", key, status, (int)response.body.len, response.body.bytes);
    }
    kv_test_response_fini(&response);
    return reading;
}

/* Between these two moments the state's deadline is. */
static int64_t first_deadline(const struct state *state)
{
    return state->ttl_ms == 0 ? NO_LIMIT : state->sent_ms + state->ttl_ms - SLACK_MS;
}

static int64_t last_deadline(const struct kv_test_witness *witness, const struct state *state)
{
    if (state->ttl_ms == 0)
        return NO_LIMIT;
    int64_t taken_ms = state->answered_ms != 0 ? state->answered_ms : witness->killed_ms;
    return taken_ms + state->ttl_ms + SLACK_MS;
}

/* Whether the server may show this, where the state is the key's. */
static bool is_shown_by(const struct kv_test_witness *witness, const struct state *state,
                        const struct reading *reading)
{
    if (state->is_refused)
        return false;
    if (reading->number == 0)
        return state->number == 0 || reading->received_ms >= first_deadline(state);
    if (state->number != reading->number || (state->ttl_ms == 0) != (reading->ttl_ms == 0))
        return false;
    if (state->revision != 0 && state->revision != reading->revision)
        return false;
    return state->ttl_ms == 0 ||
           (reading->sent_ms + reading->ttl_ms <= last_deadline(witness, state) &&
            reading->received_ms + reading->ttl_ms >= first_deadline(state));
}

/* Whether a prefix of all writes up to this revision, or those answered ahead of `kept_ms`, has the
 * state. */
static bool is_in_prefix(const struct state *state, uint64_t last_revision, int64_t kept_ms)
{
    if (state->answered_ms == 0 || state->is_refused)
        return false;
    return (state->revision != 0 && !state->is_touch && state->revision <= last_revision) ||
           state->answered_ms <= kept_ms;
}

/* The state that the key must have at least reached. */
static size_t least_state(const struct key *key, enum kv_test_promise promise,
                          uint64_t last_revision, int64_t kept_ms)
{
    size_t at = key->answered;
    if (promise == KV_TEST_ALL) {
        for (size_t i = 0; i < SUBSCRIBERS; i++)
            at = key->told[i] > at ? key->told[i] : at;
        return at;
    }
    while (at > 0 && !is_in_prefix(&key->states[at], last_revision, kept_ms))
        at--;
    return at;
}

static void show_history(const struct kv_test_witness *witness, const struct key *key, size_t least,
                         const struct reading *reading)
{
    print_error("read: number %ju, revision %ju, ttl %jd; told %zu, answered %zu; states:\n",
                (uintmax_t)reading->number, (uintmax_t)reading->revision, (intmax_t)reading->ttl_ms,
                key->told[0], key->answered);
    for (size_t at = least < 3 ? 0 : least - 3; at < key->n; at++) {
        const struct state *state = &key->states[at];
        print_error(
            "%s %zu: number %ju, revision %ju, ttl %jd, sent %jd ms and answered %jd ms "
            "before the end%s%s\n",
            at == least ? ">" : " ", at, (uintmax_t)state->number, (uintmax_t)state->revision,
            (intmax_t)state->ttl_ms, (intmax_t)(witness->killed_ms - state->sent_ms),
            (intmax_t)(state->answered_ms == 0 ? -1 : witness->killed_ms - state->answered_ms),
            state->is_refused ? ", refused" : "", state->is_touch ? ", touch" : "");
    }
}

/* Goes on from the state that was found. */
static void check_key(struct kv_test_witness *witness, size_t number, size_t least,
                      const struct reading *reading)
{
    struct key *key = &witness->keys[number];
    size_t at = key->n;
    while (at > least && !is_shown_by(witness, &key->states[at - 1], reading))
        at--;
    if (at == least) {
        show_history(witness, key, least, reading);
        fail_msg("k%zu is in no state that it may be in", number);
    }
    struct state found = key->states[at - 1];
    for (; at < key->n; at++)
        witness->counts.lost += key->states[at].answered_ms != 0 && !key->states[at].is_refused;
    if (found.answered_ms == 0)
        found.answered_ms = witness->killed_ms;
    found.revision = reading->revision;
    if (reading->number == 0)
        found = (struct state){.answered_ms = 1};
    else
        kv_test_revisions_note(&witness->revisions, found.revision, found.number);
    key->n = 0;
    *add_state(key) = found;
    key->answered = 0;
    memset(key->told, 0, sizeof(key->told));
}

/* A new change has a revision above all that were ever seen. */
static void check_revision(struct kv_test_witness *witness, struct kv_test_stream *stream)
{
    struct kv_test_response response = {0};
    char body[64];
    uint64_t number = ++witness->last_number;
    snprintf(body, sizeof(body), "{\"value\":%ju}", (uintmax_t)number);
    int status = kv_test_http_ask(stream, "POST", "/storage/probe", NULL, body, &response);
    assert_int_equal(status, 202);
    uint64_t revision = read_etag(&response);
    if (revision <= witness->revisions.last)
        fail_msg("revision %ju after %ju", (uintmax_t)revision, (uintmax_t)witness->revisions.last);
    kv_test_revisions_note(&witness->revisions, revision, number);
    kv_test_response_fini(&response);
}

void kv_test_witness_check(struct kv_test_witness *witness, uint16_t port,
                           enum kv_test_promise promise, int64_t lost_ms)
{
    struct reading readings[N_KEYS];
    struct kv_test_stream stream;
    uint64_t last_revision = 0;
    kv_test_stream_open(&stream, port);
    for (size_t i = 0; i < N_KEYS; i++) {
        readings[i] = read_key(&stream, i);
        if (readings[i].revision > last_revision)
            last_revision = readings[i].revision;
    }
    for (size_t i = 0; i < N_KEYS; i++)
        check_key(
            witness, i,
            least_state(&witness->keys[i], promise, last_revision, witness->killed_ms - lost_ms),
            &readings[i]);
    check_revision(witness, &stream);
    kv_test_stream_close(&stream);
}

/* ---- life ---- */

struct kv_test_witness *kv_test_witness_create(uint64_t seed)
{
    struct kv_test_witness *witness = kv_calloc(1, sizeof(*witness));
    witness->random = seed;
    for (size_t i = 0; i < N_KEYS; i++)
        add_state(&witness->keys[i])->answered_ms = 1;
    return witness;
}

void kv_test_witness_destroy(struct kv_test_witness *witness)
{
    for (size_t i = 0; i < N_KEYS; i++)
        free(witness->keys[i].states);
    kv_test_revisions_fini(&witness->revisions);
    free(witness);
}

struct kv_test_witness_counts kv_test_witness_counts(const struct kv_test_witness *witness)
{
    return witness->counts;
}
