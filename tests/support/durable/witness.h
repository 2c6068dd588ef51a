/*
 * Clients that record every answer and notification of a server, and check after its end that it
 * kept its promises.
 *
 * Several WebSocket and HTTP clients write to keys of their own: sets with and without TTL,
 * deletes, sets that change only the TTL, conditional writes; others subscribe to all of the keys.
 * So for each key, the sequence of its possible states is known, and the last one that was answered
 * or notified. A write that was sent and not answered may have been executed or not.
 *
 * Errors: a broken promise fails the test, with the history of the key.
 */
#ifndef KV_TEST_WITNESS_H
#define KV_TEST_WITNESS_H

#include "support/client/server.h"

struct kv_test_witness;

/* seed: of the clients' random choices. Owns: the caller, by kv_test_witness_destroy(). */
struct kv_test_witness *kv_test_witness_create(uint64_t seed);
void kv_test_witness_destroy(struct kv_test_witness *witness);

/* Puts the server under load for that long, kills it, and reads everything it has still sent. */
void kv_test_witness_load(struct kv_test_witness *witness, struct kv_test_server *server,
                          int64_t duration_ms);

/* The writes that a store must have kept. */
enum kv_test_promise {
    KV_TEST_ALL,   /* all that were answered or notified */
    KV_TEST_PREFIX /* those answered up to some moment, and none of the later ones */
};

/* Reads all keys and compares; the clients then continue from the states found. lost_ms: with
 * KV_TEST_PREFIX, the longest time between that moment and the end of the server. */
void kv_test_witness_check(struct kv_test_witness *witness, uint16_t port,
                           enum kv_test_promise promise, int64_t lost_ms);

/* Totals so far. */
struct kv_test_witness_counts {
    size_t answered, refused, unanswered, told, lost;
};
struct kv_test_witness_counts kv_test_witness_counts(const struct kv_test_witness *witness);

#endif
