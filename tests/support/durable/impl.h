/*
 * Shared by the files of a witness: the possible states of each key, and the clients.
 */
#ifndef KV_TEST_DURABLE_IMPL_H
#define KV_TEST_DURABLE_IMPL_H

#include "support/client/ws.h"
#include "support/durable/revisions.h"
#include "support/durable/witness.h"

enum {
    SOCKETS = 6,    /* WebSocket writers */
    REQUESTERS = 3, /* HTTP writers */
    WRITERS = SOCKETS + REQUESTERS,
    SUBSCRIBERS = 2,
    KEYS_EACH = 16,
    N_KEYS = WRITERS * KEYS_EACH,
    DEPTH = 12,   /* messages in flight */
    SLACK_MS = 60 /* between the clocks of test and server */
};

/* ---- keys and their states ---- */

struct state {
    uint64_t number; /* of the value; 0: no value */
    int64_t ttl_ms;  /* 0: no expiry */
    int64_t sent_ms;
    int64_t answered_ms; /* 0: not answered */
    uint64_t revision;   /* as answered; 0: unknown */
    bool is_conditional;
    bool is_touch; /* the value of the previous state, with another TTL */
    bool is_refused;
};

struct key {
    struct state *states; /* the first one: as found by the last check */
    size_t n, capacity;
    size_t answered;          /* the latest answered state */
    size_t told[SUBSCRIBERS]; /* the latest state that each subscriber received */
};

struct request {
    size_t key, state;
};

struct writer {
    struct kv_test_ws ws; /* with HTTP, only its stream is used */
    bool is_http;
    size_t first_key;
    struct request pending[DEPTH]; /* a ring */
    size_t first, n_pending;
    uint64_t next_id; /* of messages; answers have the same order */
    uint64_t answer_id;
};

struct kv_test_witness {
    uint64_t random;
    uint64_t last_number;
    int64_t killed_ms;
    struct key keys[N_KEYS];
    struct writer writers[WRITERS];
    struct kv_test_ws subscribers[SUBSCRIBERS];
    struct kv_test_revisions revisions; /* all revisions seen so far */
    struct kv_test_witness_counts counts;
};

/* A new state, all zero. Valid until the next one is added. */
struct state *kv_test_key_add(struct key *key);

/* Writes the value with that number. */
void kv_test_value_write(struct kv_buffer *out, uint64_t number);

/* The number of an intact value; fails the test if the value is damaged. */
uint64_t kv_test_value_read(struct kv_slice text);

/* The revision of a response; 0 if it has none. */
uint64_t kv_test_etag_read(const struct kv_test_response *response);

#endif
