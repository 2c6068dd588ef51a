/*
 * Creates and destroys configurations, and allocates memory that lives as long.
 */
#ifndef KV_CONF_MEMORY_H
#define KV_CONF_MEMORY_H

#include <kvserver/types.h>

struct kv_conf;

/* Owns: the caller. The tree is an empty mapping. */
struct kv_conf *kv_conf_create(const char *name);

/* Accepts NULL. Frees all nodes and values of the configuration as well. */
void kv_conf_destroy(struct kv_conf *conf);

/* Zeroed memory that lives as long as the configuration. Returns: NULL for n = 0. */
void *kv_conf_alloc(struct kv_conf *conf, size_t n, size_t size);

/* A NUL-terminated copy that lives as long. */
struct kv_slice kv_conf_copy(struct kv_conf *conf, struct kv_slice text);

#endif
