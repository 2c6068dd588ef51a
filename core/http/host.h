/*
 * The hosts that requests may name (PROTOCOL B4). While the server listens on loopback only, this
 * keeps pages of other machines from reaching it by their own name: a name that was changed to
 * point here after the page was loaded (DNS rebinding) is not one of this machine's.
 */
#ifndef KV_HTTP_HOST_H
#define KV_HTTP_HOST_H

#include "base/swar.h"
#include "http/config.h"

enum {
    KV_LONGEST_HOST_KEPT = 128
};

/* The host that was accepted last, so that it need not be checked again. Belongs to one loop. */
struct kv_last_host {
    size_t len;
    char bytes[KV_LONGEST_HOST_KEPT];
};

/* Called for every request: compares words, as hosts are too short for the cost of a call. */
static inline bool kv_last_host_is(const struct kv_last_host *last, struct kv_slice host)
{
    if (host.len != last->len)
        return false;
    if (host.len < 8)
        return host.len == 0 || memcmp(host.bytes, last->bytes, host.len) == 0;
    size_t end = host.len - 8; /* the last word, which may overlap the one before */
    for (size_t at = 0; at < end; at += 8)
        if (kv_swar_load(host.bytes + at) != kv_swar_load(last->bytes + at))
            return false;
    return kv_swar_load(host.bytes + end) == kv_swar_load(last->bytes + end);
}

/* Whether a valid host is this machine's, or listed. A missing (HTTP/1.0) or empty host is
 * accepted: no browser sends these. */
bool kv_host_is_served(const struct kv_http_config *config, struct kv_last_host *last,
                       struct kv_slice host);

#endif
