/*
 * The TTL of a write, as in PROTOCOL A3.
 */
#ifndef KV_WIRE_TTL_H
#define KV_WIRE_TTL_H

#include <kvserver/types.h>

/* Reads a TTL in milliseconds (0: no expiry): a number (of milliseconds, rounded up) or a string
 * (see base/duration.h) of at most KV_TTL_MAX_MS. json_value: has passed the JSON scanner. Returns:
 * 0, or -1 and *reterr, such as `ttl: "soon" is not a duration: …`. */
int kv_ttl_parse(struct kv_slice json_value, int64_t *ret_ms, struct kv_error *reterr);

#endif
