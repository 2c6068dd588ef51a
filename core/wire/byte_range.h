/*
 * The header `Range` in bytes (RFC 9110, section 14).
 */
#ifndef KV_WIRE_BYTE_RANGE_H
#define KV_WIRE_BYTE_RANGE_H

#include <kvserver/types.h>

enum kv_byte_range {
    KV_RANGE_ALL,   /* no range, or one to ignore: of several parts, malformed */
    KV_RANGE_PART,  /* *ret_len bytes from *ret_first on */
    KV_RANGE_BEYOND /* the range begins beyond the end */
};

/* size: of the whole. ret_first, ret_len: written only for KV_RANGE_PART. */
enum kv_byte_range kv_byte_range_read(struct kv_slice header_value, uint64_t size,
                                      uint64_t *ret_first, uint64_t *ret_len);

#endif
