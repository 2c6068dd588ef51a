/*
 * The bodies of writes (PROTOCOL A1, B1).
 */
#ifndef KV_HTTP_BODY_H
#define KV_HTTP_BODY_H

#include "keyspace/keyspace.h"

/* The kind of body, which follows from the request's method and type before the body is read. */
enum kv_body_form {
    KV_BODY_WRITE,       /* {"value": any, "ttl"?: number | string} */
    KV_BODY_PATCH,       /* {"ttl": …} or {"increment": integer, "ttl"?: …} */
    KV_BODY_MERGE_PATCH, /* any JSON: application/merge-patch+json */
};

struct kv_http_body {
    enum kv_body_form form;
    struct kv_slice value; /* WRITE, MERGE_PATCH: of the text */
    bool ttl_is_given;
    int64_t ttl_ms;
    bool increments; /* PATCH */
    int64_t by;
};

/* Reads a body. max_depth: of the value, not counting the object that contains it.
 * Returns: 0, or -1 and *reterr. Threads: any. */
int kv_http_body_read(enum kv_body_form form, struct kv_slice text, uint32_t max_depth,
                      struct kv_http_body *ret_body, struct kv_error *reterr);

/* The command for the body: a SET, or an UPDATE. max_bytes: of the value that a merge makes. Owns:
 * the caller. The body's bytes are lent to the command. */
struct kv_command *kv_http_body_command(const struct kv_http_body *body,
                                        struct kv_keyspace_loop *home, size_t max_bytes);

#endif
