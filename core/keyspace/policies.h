/*
 * The chain of TTL policies: computes the deadline of a write, and the deadline that a read renews.
 */
#ifndef KV_KEYSPACE_POLICIES_H
#define KV_KEYSPACE_POLICIES_H

#include "keyspace/command.h"
#include "keyspace/parts.h"

/* Whether some policy renews deadlines when a key is read. */
bool kv_policies_renew(const struct kv_keyspace_parts *parts);

/* The deadline of a SET, or KV_NEVER. */
int64_t kv_policies_deadline(const struct kv_keyspace_parts *parts,
                             const struct kv_command *command);

/* The deadline of an item that is being read: its own, or a renewed one. */
int64_t kv_policies_renewed(const struct kv_keyspace_parts *parts, struct kv_slice key,
                            int64_t deadline_ms);

#endif
