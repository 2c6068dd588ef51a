/*
 * The store over a Redis Cluster: a store for each partition, with a thread and connections of its
 * own, and one order of all their changes.
 *
 * Revisions follow the clocks of the masters, and no two partitions give out the same. A change is
 * told once every other partition has passed its revision, that is, when no change before it can
 * come any more: so all servers tell the same order, that of revisions. A command is given back
 * when the changes that its partition had told before are told: so what a client does next gets a
 * larger revision, wherever it goes.
 */
#ifndef KV_STORE_REDIS_CLUSTER_H
#define KV_STORE_REDIS_CLUSTER_H

#include "shared.h"

/* The host's store; it has its host, settings and is_read_only. nodes: not empty; becomes the
 * store's, whatever the outcome. Returns: -1 and *reterr; then it is to be closed all the same. */
int cluster_open(struct kv_store *store, struct nodes *nodes, uint32_t n_parts,
                 int (*open_part)(struct kv_store *part, struct kv_error *reterr),
                 struct kv_error *reterr);
void cluster_close(struct kv_store *store);

/* As those of a store. */
void cluster_info(struct kv_store *store, struct kv_store_info *ret_info);
void cluster_submit(struct kv_store *store, const struct job *job);
bool cluster_scan(struct kv_store *store, const struct job *job);
struct kv_store *cluster_part(struct kv_store *store, uint32_t part);
uint32_t cluster_n_parts(const struct kv_store *store);
uint64_t cluster_revision(struct kv_store *store);

#endif
