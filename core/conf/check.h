/*
 * Checking the blocks of a configuration against their schemas.
 */
#ifndef KV_CONF_CHECK_H
#define KV_CONF_CHECK_H

#include <kvserver/option.h>

struct kv_conf;
struct kv_conf_node;

/* A block of the file and the schema that it has to fit. */
struct kv_conf_block {
    const struct kv_conf_node *node; /* a mapping; NULL or empty: every option has its default */
    const struct kv_conf_node *at;   /* the place of what is missing where node is NULL, or NULL */
    const char *path; /* what messages call the block ("storage.rocksdb"); "" for the root */
    const struct kv_option *options;
    size_t n_options;
    size_t option_size; /* the stride of the schema, sizeof(struct kv_option) as its module was
                           built, also of the `fields` in it; members beyond it count as zero */
    const struct kv_option *outer; /* the server's options around a module's block, or NULL: where
                                      a key of it may have been meant to be */
    size_t n_outer;
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

#endif
