/*
 * The configuration: a YAML file, read into a tree that remembers lines and columns, and checked
 * block by block against the schemas of <kvserver/option.h>.
 *
 * The file is UTF-8 text of at most 1 MiB. `${VAR}` in a value stands for the environment's VAR,
 * `${VAR:-text}` for `text` where VAR is not set or empty, `$${` for `${` itself. What comes in
 * that way stays one value, whatever it looks like. A value that is left out, or is `~` or `null`
 * without quotes, means the default. Anchors, aliases, tags and second documents are refused.
 *
 * Faults do not end the reading: each is noted in the configuration, so that all of them can be
 * told at once. Only text that is no YAML ends it.
 *
 * Threads: a configuration belongs to one thread at a time. Values and nodes do not change once
 * they are handed out; many threads may read them.
 */
#ifndef KV_CONF_CONF_H
#define KV_CONF_CONF_H

#include <kvserver/option.h>

#include "base/buffer.h"

/* A file's tree, its faults, and all values checked out of it. */
struct kv_conf;

/* One value of the tree: a scalar, a sequence or a mapping. Belongs to its configuration. */
struct kv_conf_node;

/* Reads and parses a file. *ret_conf is set in any case, and bears the faults.
 * Relative paths in it count from the file's folder; where it is no regular file (a pipe), from the
 * working directory. Owns: the caller, by kv_conf_destroy().
 * Returns: 0; -1 where it could not be read to its end: then the tree is empty. */
int kv_conf_load(const char *path, struct kv_conf **ret_conf);

/* The same for text in memory, which messages call `name`. Both are copied. Relative paths stay as
 * they are. */
int kv_conf_parse(const char *name, struct kv_slice text, struct kv_conf **ret_conf);

/* Accepts NULL. All nodes and values of the configuration go with it. */
void kv_conf_destroy(struct kv_conf *conf);

/* The whole file, always a mapping: an empty file is an empty one. */
const struct kv_conf_node *kv_conf_root(const struct kv_conf *conf);

/* Notes a fault of that place (NULL: of the file as a whole), unless it is noted already. The first
 * 50 are kept, and the others counted. Returns: -1, so that a caller can fail with it. */
int kv_conf_fault(struct kv_conf *conf, const struct kv_conf_node *node, const char *format, ...)
    KV_PRINTF(3, 4);

/* The same for the key of a mapping's child. */
int kv_conf_fault_key(struct kv_conf *conf, const struct kv_conf_node *node, const char *format,
                      ...) KV_PRINTF(3, 4);

/* How many have been noted. */
size_t kv_conf_n_faults(const struct kv_conf *conf);

/* Appends the faults in the order of the file, each a line `<prefix>file:line:column: what`. */
void kv_conf_append_faults(const struct kv_conf *conf, const char *prefix, struct kv_buffer *out);

/* A block of the file and the schema that it has to fit. */
struct kv_conf_block {
    const struct kv_conf_node *node; /* a mapping; NULL or empty: every option has its default */
    const struct kv_conf_node *at;   /* the place of what is missing where node is NULL, or NULL */
    const char *path; /* what messages call the block ("storage.rocksdb"); "" for the root */
    const struct kv_option *options;
    size_t n_options;
    size_t option_size; /* the stride of the schema, sizeof(struct kv_option) as its module was
                           built, also of the `fields` in it; members beyond it count as zero */
};

/*
 * Checks a block against its schema and fills the defaults in.
 *
 * The values are aligned with `options`. Strings are NUL-terminated. The value of a TREE is its
 * const struct kv_conf_node *, NULL where it is not given. In a BLOCK that is not given, options
 * that are REQUIRED are zero instead: they are required of those who write the block.
 *
 * Owns: the configuration, until it is destroyed; the values hold nothing of the schema's.
 * Returns: 0; -1 where there were faults, which are noted. Then the values have the defaults (or
 * zero) in the place of what is wrong, so that the rest can be looked at too; NULL where the schema
 * itself is unsound (kv_schema_check). The value of a SECRET option is never part of a message.
 */
int kv_conf_check(struct kv_conf *conf, const struct kv_conf_block *block,
                  const struct kv_option_value **ret_values);

/* How many values of the type PATH have been checked out so far. */
size_t kv_conf_n_paths(const struct kv_conf *conf);

/* Looks whether the paths from `from` up to `to`, in the order of their checks, can be used as the
 * flags of their options say; notes the faults. */
void kv_conf_check_paths(struct kv_conf *conf, size_t from, size_t to);

/* Walking a tree, for what no schema describes. All accept NULL, the node that is not given. */

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

/* The text of a scalar, NUL-terminated. Returns: NULL for an empty node and for all others. */
const char *kv_conf_node_text(const struct kv_conf_node *node);

/* The text of a scalar as the file has it, with the variables it takes from the environment.
 * Returns: NULL where it takes none. */
const char *kv_conf_node_source(const struct kv_conf_node *node);

#endif
