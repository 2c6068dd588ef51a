/*
 * The effective configuration as text.
 */
#ifndef KV_CONF_PRINT_H
#define KV_CONF_PRINT_H

#include <kvserver/option.h>

#include "base/buffer.h"

/*
 * Appends values that kv_conf_check() gave for the same schema as YAML, one option a line, that
 * loads again to the same values. Durations and sizes are written as people write them where that
 * is exact (`30s`, `64MiB`). SECRET options show as "<hidden>". TREE values are left out: the
 * caller prints them with the schemas they belong to. A block that is not given and has REQUIRED
 * members shows as `~`.
 *
 * indent: spaces before each line.
 */
void kv_conf_print(const struct kv_option *options, size_t n_options, size_t option_size,
                   const struct kv_option_value *values, unsigned indent, struct kv_buffer *out);

#endif
