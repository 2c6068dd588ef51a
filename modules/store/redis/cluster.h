/*
 * The store over a Redis Cluster: one store for each partition, with its own thread and
 * connections, and one order of all their changes.
 *
 * Revisions follow the clocks of the masters, and no two partitions assign the same one. The host
 * is told a change only when every other partition has passed its revision, so that no earlier
 * change can follow. So all servers tell the changes in the same order, that of revisions. A
 * command is given back only when all changes that its partition reported before it have been told;
 * so the client's next write gets a larger revision, in whatever partition.
 */
#ifndef KV_STORE_REDIS_CLUSTER_H
#define KV_STORE_REDIS_CLUSTER_H

#include "shared.h"

/* store: the host's, in which host, settings and is_read_only are set. nodes: not empty; the store
 * takes them over, even on failure. prepare_part: called for each
 * partition before it is used. Returns: 0, or -1 and *reterr; to be closed in both cases. */
int cluster_open(struct kv_store *store, struct nodes *nodes, uint32_t n_parts,
                 int (*prepare_part)(struct kv_store *part, struct kv_error *reterr),
                 struct kv_error *reterr);
void cluster_close(struct kv_store *store);

/* As the functions of a store. */
void cluster_info(struct kv_store *store, struct kv_store_info *ret_info);
void cluster_submit(struct kv_store *store, const struct job *job);
bool cluster_scan(struct kv_store *store, const struct job *job);
struct kv_store *cluster_part(struct kv_store *store, uint32_t part);
uint32_t cluster_n_parts(const struct kv_store *store);
/* Commands of a partition that wait for changes of others to be told. */
uint64_t cluster_n_held(struct kv_store *store, uint32_t part);
/* Also without `nodes`: then all are 0. */
void cluster_metrics(const struct kv_store *store, struct kv_metrics_out *out);
uint64_t cluster_revision(struct kv_store *store);

#endif
