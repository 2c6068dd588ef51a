/*
 * The nodes of a Redis Cluster, as far as they are known: those of the configuration, and those
 * that they name. All partitions share them. Whoever connects asks the node that answers which one
 * has the partition's slot (CLUSTER SLOTS), and goes on there.
 */
#ifndef KV_STORE_REDIS_NODES_H
#define KV_STORE_REDIS_NODES_H

#include "login.h"

/* Returns: NULL where there is no memory. */
struct nodes *nodes_create(void);
/* Accepts NULL. */
void nodes_destroy(struct nodes *nodes);

/* Learns of a node. Of more than a bound the rest is not remembered. */
void nodes_add(struct nodes *nodes, struct kv_slice host, int port);

/* "host:port". Returns: false if it is not that. */
bool nodes_parse(struct kv_slice text, struct kv_slice *ret_host, int *ret_port);

/* Writes the tag of a partition, so that the slots of all lie evenly. */
void nodes_write_tag(uint32_t part, uint32_t n_parts, char tag[LONGEST_TAG]);

/* The partition of a key. The epoch keeps clients from choosing keys of one partition. */
uint32_t nodes_part_of(struct kv_slice key, const char *epoch, uint32_t n_parts);

/* How long a Redis may say nothing: with other nodes, a part of the timeout only, as another one
 * may have taken its place. */
int64_t nodes_patience_ms(const struct kv_store *store);

/* Points the store to a node that it has not tried last. */
void nodes_try_next(struct kv_store *store);

/* Connects to the node that has the partition, and logs in. Where that fails, the next attempt
 * begins at another node. Returns: -1 and *reterr. */
int nodes_connect(const struct attempt *attempt, uint64_t *ret_id);

#endif
