/*
 * The header `Range` in bytes (RFC 9110, section 14).
 */
#ifndef KV_WIRE_BYTE_RANGE_H
#define KV_WIRE_BYTE_RANGE_H

#include <kvserver/types.h>

enum kv_byte_range {
    KV_RANGE_ALL,   /* there is no range, or one that may be ignored: of several parts, malformed */
    KV_RANGE_PART,  /* from *ret_first on, *ret_len bytes */
    KV_RANGE_BEYOND /* nothing of it is there */
};

/* size: of what it is a range of. ret_first, ret_len: written for a PART only, or without meaning.
 */
enum kv_byte_range kv_byte_range_read(struct kv_slice header_value, uint64_t size,
                                      uint64_t *ret_first, uint64_t *ret_len);

#endif
