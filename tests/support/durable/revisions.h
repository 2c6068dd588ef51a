/*
 * All revisions seen so far, with the states they were seen of: no revision may belong to two
 * states.
 */
#ifndef KV_TEST_REVISIONS_H
#define KV_TEST_REVISIONS_H

#include <stddef.h>
#include <stdint.h>

struct kv_test_revision;

/* All zero: empty. Owns: its memory, by kv_test_revisions_fini(). */
struct kv_test_revisions {
    struct kv_test_revision *slots; /* open addressing */
    size_t n, capacity;
    uint64_t last; /* the largest */
};

void kv_test_revisions_fini(struct kv_test_revisions *revisions);

/* Fails the test if the revision was seen of another state. what: the number of the state. */
void kv_test_revisions_note(struct kv_test_revisions *revisions, uint64_t revision, uint64_t what);

#endif
