/*
 * The configuration: a YAML file, read into a tree that remembers lines and columns, and checked
 * block by block against the schemas of <kvserver/option.h>.
 *
 * The file is UTF-8 text of at most 1 MiB. `${VAR}` in a value stands for the environment's VAR,
 * `${VAR:-text}` for `text` where VAR is not set or empty, `$${` for `${` itself. What comes in
 * that way stays one value, whatever it looks like. A value that is left out, or is `~` or `null`
 * without quotes, means the default. Anchors, aliases, tags and second documents are refused.
 *
 * Threads: a configuration belongs to one thread at a time. Values and nodes do not change once
 * they are handed out; many threads may read them.
 */
#ifndef KV_CONF_CONF_H
#define KV_CONF_CONF_H

#include <kvserver/option.h>

/* A file's tree and all values checked out of it. */
struct kv_conf;

/* One value of the tree: a scalar, a sequence or a mapping. Belongs to its configuration. */
struct kv_conf_node;

/* Reads and parses a file. Owns: the caller, by kv_conf_destroy().
 * Errors: -1, with `path: what`, or `path:line:column: what`. */
int kv_conf_load(const char *path, struct kv_conf **ret_conf, struct kv_error *reterr);

/* The same for text in memory, which messages call `name`. Both are copied. */
int kv_conf_parse(const char *name, struct kv_slice text, struct kv_conf **ret_conf,
                  struct kv_error *reterr);

/* Accepts NULL. All nodes and values of the configuration go with it. */
void kv_conf_destroy(struct kv_conf *conf);

/* The whole file, always a mapping: an empty file is an empty one. */
const struct kv_conf_node *kv_conf_root(const struct kv_conf *conf);

/*
 * Checks a block against a schema and fills the defaults in.
 * node: a mapping; NULL or an empty node: every option has its default.
 * path: what messages call the block ("storage.rocksdb"); "" for the root.
 * option_size: the stride of the schema, sizeof(struct kv_option) as its module was built; the
 * same holds for the `fields` in it. Members beyond it count as zero.
 *
 * The values are aligned with `options`. Strings are NUL-terminated. The value of a TREE is its
 * const struct kv_conf_node *, NULL where it is not given. In a BLOCK that is not given, options
 * that are REQUIRED are zero instead: they are required of those who write the block.
 *
 * Owns: the configuration, until it is destroyed; the values hold nothing of the schema's.
 * Errors: -1, with file, line and column of the first fault. The value of a SECRET option is
 * never part of a message. An unsound schema (kv_schema_check) is an error too.
 */
int kv_conf_check(struct kv_conf *conf, const struct kv_conf_node *node, const char *path,
                  const struct kv_option *options, size_t n_options, size_t option_size,
                  const struct kv_option_value **ret_values, struct kv_error *reterr);

/* Walking a tree, for what no schema describes. All accept NULL, the node that is not given. */

bool kv_conf_node_is_mapping(const struct kv_conf_node *node);
bool kv_conf_node_is_sequence(const struct kv_conf_node *node);

/* Left out, or `~` or `null`: the default is meant. */
bool kv_conf_node_is_empty(const struct kv_conf_node *node);

/* How many children a mapping or a sequence has; 0 for others. */
size_t kv_conf_node_size(const struct kv_conf_node *node);

/* The i-th child, in the order of the file; i is below the size. */
const struct kv_conf_node *kv_conf_node_child(const struct kv_conf_node *node, size_t i);

/* The key of the i-th child of a mapping; i is below the size. */
const char *kv_conf_node_name(const struct kv_conf_node *node, size_t i);

/* The child of that key. Returns: NULL where there is none, or the node is no mapping. */
const struct kv_conf_node *kv_conf_node_find(const struct kv_conf_node *node, const char *name);

/* The text of a scalar, NUL-terminated. Returns: NULL for an empty node and for all others. */
const char *kv_conf_node_text(const struct kv_conf_node *node);

/* Writes `file:line:column: …` (`file: …` where node is NULL) and returns -1, so that the caller
 * can complain about a place of the file. */
int kv_conf_error_at(const struct kv_conf *conf, const struct kv_conf_node *node,
                     struct kv_error *reterr, const char *format, ...) KV_PRINTF(4, 5);

#endif
