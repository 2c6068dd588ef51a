/*
 * The chain of changes: each names the revision before it. What is pushed continues it or shows a
 * gap; a gap is filled from the log. Each change is told to the host once, in order.
 */
#ifndef KV_STORE_REDIS_CHAIN_H
#define KV_STORE_REDIS_CHAIN_H

#include "shared.h"

/* Takes the events of a push, or of an entry of the log. What has been told is passed over.
 * Returns: -1 where they do not continue the chain: the rest is left. */
int chain_take(struct kv_store *store, struct kv_slice events);

/* The same, from the log: what comes before its events is there no longer, and the host is told so.
 */
int chain_take_logged(struct kv_store *store, struct kv_slice events);

/* Goes on at that revision: what lies between can not be told. */
void chain_jump(struct kv_store *store, uint64_t revision);

/* The chain stands, at least, at that revision, of which nobody is to be told. */
void chain_begin(struct kv_store *store, uint64_t revision);

#endif
