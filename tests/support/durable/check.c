/*
 * The server's content after its end is compared with the possible states: a key is in one of its
 * states, starting from the last one that the store must have kept, within the times that its TTL
 * allows.
 */
#include "support/durable/impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define NO_LIMIT INT64_MAX

/* A key as the server returns it. */
struct reading {
    uint64_t number; /* 0: missing */
    uint64_t revision;
    int64_t ttl_ms; /* remaining; 0: no expiry */
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
        reading.number =
            kv_test_value_read((struct kv_slice){body.bytes + start, body.len - start - 1});
        reading.revision = kv_test_etag_read(&response);
        reading.ttl_ms = ttl == NULL ? 0 : strtoll(ttl, NULL, 10);
    } else if (status != 204) {
        fail_msg("k%zu: %d %.*s", key, status, (int)response.body.len, response.body.bytes);
    }
    kv_test_response_fini(&response);
    return reading;
}

/* The state's deadline lies between these two moments. */
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

/* Whether the server may return this reading if the key is in that state. */
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

/* Whether the state belongs to a prefix of all writes: up to this revision, or answered before
 * `kept_ms`. */
static bool is_in_prefix(const struct state *state, uint64_t last_revision, int64_t kept_ms)
{
    if (state->answered_ms == 0 || state->is_refused)
        return false;
    return (state->revision != 0 && !state->is_touch && state->revision <= last_revision) ||
           state->answered_ms <= kept_ms;
}

/* The earliest state in which the key may be. */
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

/* Continues from the state found. */
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
    *kv_test_key_add(key) = found;
    key->answered = 0;
    memset(key->told, 0, sizeof(key->told));
}

/* The revision of a new change exceeds all revisions seen so far. */
static void check_revision(struct kv_test_witness *witness, struct kv_test_stream *stream)
{
    struct kv_test_response response = {0};
    char body[64];
    uint64_t number = ++witness->last_number;
    snprintf(body, sizeof(body), "{\"value\":%ju}", (uintmax_t)number);
    int status = kv_test_http_ask(stream, "POST", "/storage/probe", NULL, body, &response);
    assert_int_equal(status, 202);
    uint64_t revision = kv_test_etag_read(&response);
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
