/*
 * Walking the tree of a configuration.
 */
#ifndef KV_CONF_NODE_H
#define KV_CONF_NODE_H

#include <kvserver/types.h>

/* A file's tree, its faults, and all values checked out of it. */
struct kv_conf;

/* One value of the tree: a scalar, a sequence or a mapping. Belongs to its configuration. */
struct kv_conf_node;

/* The whole file, always a mapping: an empty file is an empty one. */
const struct kv_conf_node *kv_conf_root(const struct kv_conf *conf);

/* For what no schema describes. All accept NULL, the node that is not given. */

bool kv_conf_node_is_mapping(const struct kv_conf_node *node);
bool kv_conf_node_is_sequence(const struct kv_conf_node *node);

/* Left out, or `~` or `null`: the default is meant. */
bool kv_conf_node_is_empty(const struct kv_conf_node *node);

/* A value whose fault has been noted: there is nothing more to say of it. */
bool kv_conf_node_is_faulty(const struct kv_conf_node *node);

/* How many children a mapping or a sequence has; 0 for others. */
size_t kv_conf_node_size(const struct kv_conf_node *node);

/* The i-th child, in the order of the file. Returns: NULL where there are not so many. */
const struct kv_conf_node *kv_conf_node_child(const struct kv_conf_node *node, size_t i);

/* The key of the i-th child of a mapping; i is below the size. */
const char *kv_conf_node_name(const struct kv_conf_node *node, size_t i);

/* The child of that key. Returns: NULL where there is none, or the node is no mapping. */
const struct kv_conf_node *kv_conf_node_find(const struct kv_conf_node *node, const char *name);

/* The value of that path below a node: `url`, `servers[1]`, `settings.ssl.ca.location`. Of keys
 * that have dots themselves the longest counts. Returns: NULL where it is not given. */
const struct kv_conf_node *kv_conf_node_at(const struct kv_conf_node *node, const char *path);

/* The text of a scalar, NUL-terminated. Returns: NULL for an empty node and for all others. */
const char *kv_conf_node_text(const struct kv_conf_node *node);

/* The text of a scalar as the file has it, with the variables it takes from the environment.
 * Returns: NULL where it takes none. */
const char *kv_conf_node_source(const struct kv_conf_node *node);

#endif
