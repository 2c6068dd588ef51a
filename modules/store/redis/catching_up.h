/*
 * A KV_OP_CATCH_UP over all partitions: each of them catches up by itself.
 */
#ifndef KV_STORE_REDIS_CATCHING_UP_H
#define KV_STORE_REDIS_CATCHING_UP_H

#include "shards.h"

/* Gives each partition a command of its own. The host's is final when all of these are. */
void catching_up_submit(const struct cluster *cluster, const struct job *job);

/* That of a partition is final, and what it waited for has been told. */
void catching_up_take(const struct cluster *cluster, const struct job *job);

#endif
