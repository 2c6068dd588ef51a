/*
 * From the text of a scalar to its typed value.
 */
#ifndef KV_CONF_SCALAR_H
#define KV_CONF_SCALAR_H

#include <kvserver/option.h>

#include "base/buffer.h"

/*
 * Sets the value, but for `is_given`. A STRING or PATH borrows the text.
 * Errors: -1, with what is wrong, but not where.
 */
int kv_scalar_parse(const struct kv_option *option, struct kv_slice text,
                    struct kv_option_value *ret_value, struct kv_error *reterr);

/* Whether the text may stand in a file, which is stricter than a schema's default: a DURATION has a
 * unit, and a SECRET is not what stands for one that was hidden. Errors: -1, as above. */
int kv_scalar_check_written(const struct kv_option *option, struct kv_slice text,
                            struct kv_error *reterr);

/* What is printed in the place of a secret. */
#define KV_SCALAR_HIDDEN "<hidden>"

/* Whether the number lies in the option's range. Errors: -1; `shown` is what the message calls
 * the number. */
int kv_scalar_check_range(const struct kv_option *option, int64_t number, const char *shown,
                          struct kv_error *reterr);

/* What the option takes, in words: `a whole number (or "auto")`. */
void kv_scalar_append_kind(const struct kv_option *option, struct kv_buffer *out);

#endif
