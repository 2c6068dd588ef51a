/*
 * Checking the blocks of a configuration against their schemas.
 */
#ifndef KV_CONF_CHECK_H
#define KV_CONF_CHECK_H

#include <kvserver/option.h>

struct kv_conf;
struct kv_conf_node;

/* A block of the file and the schema that it has to match. */
struct kv_conf_block {
    const struct kv_conf_node *node; /* a mapping; NULL or empty: every option has its default */
    const struct kv_conf_node *at;   /* the place of options that node, if NULL, lacks; or NULL */
    const char *path; /* the block's name in messages ("storage.rocksdb"); "" for the root */
    const struct kv_option *options;
    size_t n_options;
    size_t option_size; /* the stride of the schema and of the `fields` in it, sizeof(struct
                           kv_option) as its module was built; members beyond it count as zero */
    const struct kv_option *outer; /* the server's options around a module's block, to suggest them
                                      for misplaced keys; or NULL */
    size_t n_outer;
};

/*
 * Checks a block against its schema and fills in the defaults.
 *
 * The values are aligned with `options`. Strings are NUL-terminated. The value of a TREE is its
 * const struct kv_conf_node *, or NULL if it is not given. In a BLOCK that is not given, REQUIRED
 * options are zero: they are required only if the block is given.
 *
 * Owns: the configuration, until it is destroyed; the values refer to nothing of the schema.
 * Returns: 0; -1 if there were faults, which are noted. Then faulty options have their defaults (or
 * zero), so that the others can be checked as well; *ret_values is NULL if the schema itself is
 * unsound (kv_schema_check). The value of a SECRET option is never part of a message.
 */
int kv_conf_check(struct kv_conf *conf, const struct kv_conf_block *block,
                  const struct kv_option_value **ret_values);

#endif
