/*
 * `host[:port]`, as `Host` and absolute targets have it (RFC 9110, section 7.2; RFC 3986, section
 * 3.2.2). There is no user in it, and no version of IP that is yet to come.
 */
#ifndef KV_WIRE_AUTHORITY_H
#define KV_WIRE_AUTHORITY_H

#include <kvserver/types.h>

struct kv_authority {
    struct kv_slice host; /* a name, an IPv4 address, or an IPv6 address in its brackets */
    struct kv_slice port; /* digits, at most 65535 by value; empty: it has none */
};

/* *ret: slices of the text. The host may be empty. Returns: false where the text is none. */
bool kv_authority_parse(struct kv_slice text, struct kv_authority *ret);

/* Whether the host is `localhost` or a loopback address, spelled in full. */
bool kv_authority_is_loopback(struct kv_slice host);

#endif
