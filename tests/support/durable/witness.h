/*
 * Clients that remember what a server told them, and look after its end whether it kept its word.
 *
 * Several WebSocket and HTTP clients write to keys of their own: sets with and without TTL,
 * deletes, sets that alter nothing but the TTL, conditional writes; others subscribe to all of the
 * keys. So for each key the states are known that it may have had, in their order, and up to which
 * of them it was answered or told. What was sent and not answered may have happened or not.
 *
 * Errors: a word that was not kept fails the test, with the history of the key.
 */
#ifndef KV_TEST_WITNESS_H
#define KV_TEST_WITNESS_H

#include "support/client/server.h"

struct kv_test_witness;

/* seed: of what the clients do. Owns: the caller, by kv_test_witness_destroy(). */
struct kv_test_witness *kv_test_witness_create(uint64_t seed);
void kv_test_witness_destroy(struct kv_test_witness *witness);

/* Puts the server under load for that long, kills it, and reads what it has still sent. */
void kv_test_witness_load(struct kv_test_witness *witness, struct kv_test_server *server,
                          int64_t duration_ms);

/* What a store has to have kept. */
enum kv_test_promise {
    KV_TEST_ALL,   /* whatever was answered or told */
    KV_TEST_PREFIX /* what was answered up to some moment, and nothing of what came later */
};

/* Reads all keys and compares. Then the clients go on from what was found.
 * lost_ms: with KV_TEST_PREFIX, how long before the end that moment may be. */
void kv_test_witness_check(struct kv_test_witness *witness, uint16_t port,
                           enum kv_test_promise promise, int64_t lost_ms);

/* What was seen so far. */
struct kv_test_witness_counts {
    size_t answered, refused, unanswered, told, lost;
};
struct kv_test_witness_counts kv_test_witness_counts(const struct kv_test_witness *witness);

#endif
