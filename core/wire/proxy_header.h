/*
 * Information from a proxy about its client, ahead of a connection's first bytes: the PROXY
 * protocol of HAProxy, versions 1 (a line of text) and 2 (binary).
 */
#ifndef KV_WIRE_PROXY_HEADER_H
#define KV_WIRE_PROXY_HEADER_H

#include "wire/address.h"

enum {
    KV_PROXY_HEADER_MOST_BYTES = 4096 /* of version 2; version 1 has 107 at most */
};

enum kv_proxy_header_status {
    KV_PROXY_HEADER_MALFORMED = -1,
    KV_PROXY_HEADER_PARTIAL = 0, /* so far it may be a PROXY header */
    KV_PROXY_HEADER_WHOLE = 1,
    KV_PROXY_HEADER_ABSENT = 2, /* the bytes are something else */
};

struct kv_proxy_header {
    size_t len;
    struct kv_address client; /* none: the connection is the proxy's own, or unknown */
};

/* bytes: of a connection from its first. *ret: set for KV_PROXY_HEADER_WHOLE. */
enum kv_proxy_header_status kv_proxy_header_read(struct kv_slice bytes,
                                                 struct kv_proxy_header *ret);

#endif
