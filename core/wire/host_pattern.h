/*
 * Patterns for hosts and origins in the configuration: `*` matches any, and `*.` before a domain
 * matches every host below it. Letter case is ignored.
 */
#ifndef KV_WIRE_HOST_PATTERN_H
#define KV_WIRE_HOST_PATTERN_H

#include <kvserver/types.h>

/* Whether a text is `*`, a host, or `*.` and a domain. */
bool kv_host_pattern_is_valid(struct kv_slice text);

/* host: without a port. */
bool kv_host_pattern_matches(struct kv_slice pattern, struct kv_slice host);

/* Whether a text is `*`, or `scheme://host[:port]`, in which `*.` may stand before the host. */
bool kv_origin_pattern_is_valid(struct kv_slice text);

/* Scheme and port must be equal; an omitted port equals only an omitted port. */
bool kv_origin_pattern_matches(struct kv_slice pattern, struct kv_slice origin);

#endif
