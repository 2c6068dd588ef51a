/*
 * What the files of a witness share: what is known of each key, and the clients.
 */
#ifndef KV_TEST_DURABLE_IMPL_H
#define KV_TEST_DURABLE_IMPL_H

#include "support/client/ws.h"
#include "support/durable/revisions.h"
#include "support/durable/witness.h"

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

/* A further state, all zero. Valid until the next one. */
struct state *kv_test_key_add(struct key *key);

/* The value of a number. */
void kv_test_value_write(struct kv_buffer *out, uint64_t number);

/* The number of a value that is whole; fails the test where it is none. */
uint64_t kv_test_value_read(struct kv_slice text);

/* The revision of a response; 0 where it has none. */
uint64_t kv_test_etag_read(const struct kv_test_response *response);

#endif
