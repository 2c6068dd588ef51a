/*
 * The one order in which the changes of all partitions are told, that of their revisions; and the
 * results that wait until the changes before them have been told.
 */
#ifndef KV_STORE_REDIS_TELLING_H
#define KV_STORE_REDIS_TELLING_H

#include "shards.h"

/* To be called first, for a partition that begins as zeros. Returns: false if there is no memory.
 */
bool telling_init(struct shard *shard);

/* The partition reports a change. One whose revision has been passed already cannot be told in
 * order, and becomes a resync; so does one for which there is no memory. */
void telling_line_up(struct shard *shard, const struct kv_change *change, bool is_elsewhere);
void telling_line_up_resync(struct shard *shard);

/* Statements of a partition on itself and on others (struct neighbours). context: the shard. */
void telling_pass(void *context, uint64_t revision);
size_t telling_find_beside(void *context, const struct kv_store **ret);
void telling_pass_beside(void *context, uint32_t part, uint64_t newest, uint64_t revision);

/* Lets Redis be asked about the partitions that have not passed the revision, once for those of a
 * node. Under the lock. */
void telling_ask_to_pass(struct cluster *cluster, uint64_t wanted);

/* Keeps a result until what its partition reported before it has been told. */
void telling_hold(struct shard *shard, const struct job *job);

/* Wakes the thread. Under the lock. */
void telling_alert(struct cluster *cluster);

/* The thread, until the cluster is closing. arg: the cluster. */
void *telling_run(void *arg);

/* Drops what the partition has in line. The thread has ended. */
void telling_clear(struct shard *shard);

#endif
