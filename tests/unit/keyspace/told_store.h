/*
 * A store that has no keys: the test tells the changes. A GET finds what was told last of its key.
 * References are counted, and told_store_expect_no_references() asserts that all came back.
 */
#ifndef KV_TESTS_KEYSPACE_TOLD_STORE_H
#define KV_TESTS_KEYSPACE_TOLD_STORE_H

#include "rig.h"

/* In place of the rig's store; before rig_open(). The capabilities are the rig's to choose. */
void told_store_use(struct rig *rig);

/* The newest revision, as the store says it. */
void told_store_set_revision(uint64_t revision);

/* Tells a change, of `revision`; value NULL: a delete. */
void told_store_tell(struct rig *rig, uint64_t revision, const char *key, const char *value);

/* Shows a set to observers, as a store with KV_STORE_SHOWS does. */
void told_store_show(struct rig *rig, uint64_t claim, uint16_t mark, uint64_t revision,
                     const char *key, const char *value);

uint64_t told_store_n_references(void);
void told_store_expect_no_references(void);

/* One to something that is nobody's state. */
void *told_store_reference(void);

#endif
