/*
 * Reading the tree of a configuration.
 */
#ifndef KV_CONF_NODE_H
#define KV_CONF_NODE_H

#include <kvserver/types.h>

/* The tree of a file, its faults, and the values read from it. */
struct kv_conf;

/* One value of the tree: a scalar, a sequence or a mapping. Belongs to its configuration. */
struct kv_conf_node;

/* The whole file, always a mapping; an empty file is an empty mapping. */
const struct kv_conf_node *kv_conf_root(const struct kv_conf *conf);

/* For values without a schema. All accept NULL, the node that is not given. */

bool kv_conf_node_is_mapping(const struct kv_conf_node *node);
bool kv_conf_node_is_sequence(const struct kv_conf_node *node);

/* Omitted, or `~` or `null`: the default applies. */
bool kv_conf_node_is_empty(const struct kv_conf_node *node);

/* A value whose fault has been noted: report no more about it. */
bool kv_conf_node_is_faulty(const struct kv_conf_node *node);

/* The number of children of a mapping or a sequence; 0 for others. */
size_t kv_conf_node_size(const struct kv_conf_node *node);

/* The i-th child, in the order of the file. Returns: NULL if i is not below the size. */
const struct kv_conf_node *kv_conf_node_child(const struct kv_conf_node *node, size_t i);

/* The key of the i-th child of a mapping; i is below the size. */
const char *kv_conf_node_name(const struct kv_conf_node *node, size_t i);

/* The child with that key. Returns: NULL if there is none, or the node is not a mapping. */
const struct kv_conf_node *kv_conf_node_find(const struct kv_conf_node *node, const char *name);

/* The value at a path below a node: `url`, `servers[1]`, `settings.ssl.ca.location`. If keys
 * contain dots, the longest matching key is used. Returns: NULL if it is not given. */
const struct kv_conf_node *kv_conf_node_at(const struct kv_conf_node *node, const char *path);

/* The text of a scalar, NUL-terminated. Returns: NULL for an empty node and for all other kinds. */
const char *kv_conf_node_text(const struct kv_conf_node *node);

/* The text of a scalar as written in the file, with its references to variables.
 * Returns: NULL if it has none. */
const char *kv_conf_node_source(const struct kv_conf_node *node);

#endif
