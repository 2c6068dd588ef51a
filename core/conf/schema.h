/*
 * The soundness of a schema itself, before any file is checked against it: what a module's author
 * may have got wrong.
 */
#ifndef KV_CONF_SCHEMA_H
#define KV_CONF_SCHEMA_H

#include <kvserver/option.h>

/*
 * Sound means: known types and flags; names in snake_case, once each; ranges that hold something;
 * choices and fields where the type has them, at most 16 levels deep; a default that parses and
 * lies in the range, zero included where no `fallback` is given.
 *
 * option_size: the stride, see kv_conf_check().
 * Errors: -1, with the path of the option and what is wrong with it.
 */
int kv_schema_check(const struct kv_option *options, size_t n, size_t option_size,
                    struct kv_error *reterr);

#endif
