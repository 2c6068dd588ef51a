/*
 * A store without keys: the test tells the changes. A GET returns the state of its key that was
 * told last. References are counted, and told_store_expect_no_references() asserts that all were
 * released.
 */
#ifndef KV_TESTS_KEYSPACE_TOLD_STORE_H
#define KV_TESTS_KEYSPACE_TOLD_STORE_H

#include "rig.h"

/* Replaces the rig's store; to be called before rig_open(). The rig determines the capabilities. */
void told_store_use(struct rig *rig);

/* Sets the newest revision that the store reports. */
void told_store_set_revision(uint64_t revision);

/* Tells a change with the revision; value NULL: a delete. */
void told_store_tell(struct rig *rig, uint64_t revision, const char *key, const char *value);

/* Shows a set to observers, as a store with KV_STORE_SHOWS does. */
void told_store_show(struct rig *rig, uint64_t claim, uint16_t mark, uint64_t revision,
                     const char *key, const char *value);

/* Gives the host an earlier change, made at `at_ms`; value "": a set whose value is not at hand.
 * Returns: whether the host has taken it. */
bool told_store_remember(struct rig *rig, uint64_t after, uint64_t upto, uint64_t revision,
                         const char *key, const char *value, int64_t at_ms);

uint64_t told_store_n_references(void);
void told_store_expect_no_references(void);

/* A reference that belongs to no state. */
void *told_store_reference(void);

#endif
