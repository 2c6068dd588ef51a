/*
 * A slot whose keys are at two masters. Redis refuses what it cannot see in full only while the
 * slot is marked as migrating. Two things take the mark away before all keys are together: the
 * failover of a slot's source (Redis 7 does not replicate the mark), and `redis-cli --cluster fix`,
 * which gives the slot to one of the two and then moves the keys there. Until then the owner
 * answers as if the keys at the other one did not exist, and what is written in their place is
 * overwritten or stops the repair. In both cases the connection to the slot is lost first; so it is
 * enough to look whenever a partition is connected.
 */
#ifndef KV_STORE_REDIS_SPLIT_H
#define KV_STORE_REDIS_SPLIT_H

#include "login.h"

/* Asks the other masters for keys of the partition that the attempt is connected to. A master
 * that cannot be reached, or does not allow the question, counts as having none. Sets is_split.
 * Returns: -1 and *reterr if there are any. */
int split_look(const struct attempt *attempt);

/* The same for all partitions of a store that is being opened, with one connection to each master.
 */
int split_look_at_all(struct kv_store *const *parts, uint32_t n, struct kv_error *reterr);

#endif
