/*
 * The body of a write: {"value": any, "ttl"?: number | string} (PROTOCOL A1).
 */
#ifndef KV_HTTP_BODY_H
#define KV_HTTP_BODY_H

#include "keyspace/keyspace.h"

struct kv_http_body {
    struct kv_slice value; /* of the text */
    bool ttl_is_given;
    int64_t ttl_ms;
};

/* Reads one. max_depth: of the value; the object that it stands in is not counted.
 * Returns: 0, or -1 and *reterr. Threads: any. */
int kv_http_body_read(struct kv_slice text, uint32_t max_depth, struct kv_http_body *ret_body,
                      struct kv_error *reterr);

/* Makes it what the SET writes. */
void kv_http_body_apply(const struct kv_http_body *body, struct kv_command *command);

#endif
