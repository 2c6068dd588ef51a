/*
 * Opens the TTL policies of the configuration, as the chain that the keyspace runs.
 */
#ifndef KV_DAEMON_CHAIN_H
#define KV_DAEMON_CHAIN_H

#include "daemon/config.h"

struct kv_chain;

/* Opens every policy, in order. Owns: the caller. Returns: NULL if one cannot be opened; that is
 * noted in the configuration. */
struct kv_chain *kv_chain_open(const struct kv_config *config);
void kv_chain_close(struct kv_chain *chain);

const struct kv_ttl_link *kv_chain_links(const struct kv_chain *chain);

#endif
