/*
 * Numbers with units, in the notation of configuration files.
 */
#ifndef KV_CONF_UNITS_H
#define KV_CONF_UNITS_H

#include <kvserver/option.h>

#include "base/buffer.h"

/*
 * A size in bytes: a decimal number, and B, kB, KB, KiB, MB, MiB, GB, GiB, TB or TiB in any letter
 * case, with or without spaces between them. The result has to be a whole number of bytes.
 * Errors: -1, with a constant text that continues a sentence after the quoted size: `is too large`.
 */
int kv_size_parse(struct kv_slice text, int64_t *ret_bytes, const char **ret_what);

/* Appends a number of an option of this type, with the largest unit that leaves it whole. */
void kv_number_append(enum kv_option_type type, int64_t number, struct kv_buffer *out);

#endif
