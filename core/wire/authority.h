/*
 * `host[:port]`, as in `Host` and absolute targets (RFC 9110, section 7.2; RFC 3986, section
 * 3.2.2). Neither user information nor future versions of IP are accepted.
 */
#ifndef KV_WIRE_AUTHORITY_H
#define KV_WIRE_AUTHORITY_H

#include <kvserver/types.h>

struct kv_authority {
    struct kv_slice host; /* a name, an IPv4 address, or an IPv6 address in its brackets */
    struct kv_slice port; /* digits, at most 65535 by value; empty: none */
};

/* *ret: slices of the text. The host may be empty. Returns: false if the text is no authority. */
bool kv_authority_parse(struct kv_slice text, struct kv_authority *ret);

/* Whether the host is `localhost` or a loopback address, spelled in full. */
bool kv_authority_is_loopback(struct kv_slice host);

#endif
