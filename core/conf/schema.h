/*
 * Checks that a schema itself is sound, before any file is checked against it: this finds mistakes
 * of a module's author.
 */
#ifndef KV_CONF_SCHEMA_H
#define KV_CONF_SCHEMA_H

#include <kvserver/option.h>

/*
 * Sound means: known types and flags; names in snake_case, without repetition; ranges that are not
 * empty; choices and fields for the types that have them, at most 16 levels deep; a default that
 * can be parsed and is in the range, including zero if there is no `fallback`.
 *
 * option_size: the stride, see kv_conf_check().
 * Errors: -1, with the path of the option and its fault.
 */
int kv_schema_check(const struct kv_option *options, size_t n, size_t option_size,
                    struct kv_error *reterr);

#endif
