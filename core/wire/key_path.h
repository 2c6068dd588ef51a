/*
 * The key in a path: what follows `/storage/`, as it was sent and without the query. No byte but
 * `%` has a meaning: `a%2Fb` and `a/b` are one key, `..` and `//` are no steps, `+` is a plus.
 */
#ifndef KV_WIRE_KEY_PATH_H
#define KV_WIRE_KEY_PATH_H

#include "base/buffer.h"

/* Appends the key that `escaped` stands for.
 * Returns: 0, or -1 where an escape is broken or the key is not UTF-8: *ret_what is a constant text
 * of what is wrong, *ret_offset the byte of `escaped` where it is; `out` is then as it was. */
int kv_key_path_decode(struct kv_slice escaped, struct kv_buffer *out, const char **ret_what,
                       size_t *ret_offset);

/* The same without a copy where there are no escapes: *ret_key is then `escaped` itself, otherwise
 * it lies in `scratch`, whose contents it replaces. */
int kv_key_path_read(struct kv_slice escaped, struct kv_buffer *scratch, struct kv_slice *ret_key,
                     const char **ret_what, size_t *ret_offset);

#endif
