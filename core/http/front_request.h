/*
 * The requests that the front serves itself: GET, HEAD, POST, PUT and DELETE of /storage/…, in the
 * plainest form of HTTP/1.1.
 */
#ifndef KV_HTTP_FRONT_REQUEST_H
#define KV_HTTP_FRONT_REQUEST_H

#include "keyspace/command.h"

struct kv_front_request {
    enum kv_command_kind kind; /* GET, SET or DELETE */
    bool is_head;              /* a GET whose answer has no body */
    struct kv_slice escaped_key;
    struct kv_slice body;
    size_t len; /* of all of it */
};

enum kv_front_verdict {
    KV_FRONT_SIMPLE,
    KV_FRONT_PARTIAL, /* so far it is one, but its end has not come */
    KV_FRONT_OTHER,   /* it is libh2o's: something else, or broken */
};

/* Reads the request that the input begins with. input: at least one byte.
 * *ret_request: slices of the input, where it is a simple one. */
enum kv_front_verdict kv_front_request_read(struct kv_slice input,
                                            struct kv_front_request *ret_request);

#endif
