/*
 * Converts the text of a scalar to its typed value.
 */
#ifndef KV_CONF_SCALAR_H
#define KV_CONF_SCALAR_H

#include <kvserver/option.h>

#include "base/buffer.h"

/*
 * Sets the value, except for `is_given`. A STRING or PATH borrows the text.
 * Errors: -1, and the fault without its place.
 */
int kv_scalar_parse(const struct kv_option *option, struct kv_slice text,
                    struct kv_option_value *ret_value, struct kv_error *reterr);

/* Whether the text may appear in a file, which is stricter than for a schema's default: a DURATION
 * needs a unit, and a SECRET must not be the text printed for hidden secrets. Errors: -1, as
 * above. */
int kv_scalar_check_written(const struct kv_option *option, struct kv_slice text,
                            struct kv_error *reterr);

/* Printed in place of a secret. */
#define KV_SCALAR_HIDDEN "<hidden>"

/* Whether the number is in the option's range. Errors: -1; the message shows the number as
 * `shown`. */
int kv_scalar_check_range(const struct kv_option *option, int64_t number, const char *shown,
                          struct kv_error *reterr);

/* Appends the kind of value that the option takes, in words: `a whole number (or "auto")`. */
void kv_scalar_append_kind(const struct kv_option *option, struct kv_buffer *out);

#endif
