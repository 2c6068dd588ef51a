/* An origin is split at `://`; a pattern is compared part by part. */
#include "wire/host_pattern.h"

#include <strings.h>

#include "wire/authority.h"

struct origin {
    struct kv_slice scheme;
    struct kv_slice authority;
};

static bool equals_ignoring_case(struct kv_slice a, struct kv_slice b)
{
    return a.len == b.len && strncasecmp(a.bytes, b.bytes, a.len) == 0;
}

static bool is_any(struct kv_slice pattern)
{
    return kv_slice_equals(pattern, KV_SLICE("*"));
}

static struct kv_slice skip(struct kv_slice text, size_t n)
{
    return (struct kv_slice){text.bytes + n, text.len - n};
}

static bool is_below_domain(struct kv_slice pattern)
{
    return kv_slice_has_prefix(pattern, KV_SLICE("*."));
}

/* The part of a pattern that must be a host. */
static struct kv_slice fixed_part(struct kv_slice pattern)
{
    return is_below_domain(pattern) ? skip(pattern, 2) : pattern;
}

bool kv_host_pattern_is_valid(struct kv_slice text)
{
    struct kv_authority authority;
    struct kv_slice fixed = fixed_part(text);
    if (is_any(text))
        return true;
    return kv_authority_parse(fixed, &authority) && authority.host.len == fixed.len &&
           fixed.len != 0 && memchr(fixed.bytes, '*', fixed.len) == NULL;
}

bool kv_host_pattern_matches(struct kv_slice pattern, struct kv_slice host)
{
    if (is_any(pattern))
        return true;
    if (!is_below_domain(pattern))
        return equals_ignoring_case(pattern, host);
    struct kv_slice domain = skip(pattern, 1); /* with its leading dot */
    return host.len > domain.len && equals_ignoring_case(skip(host, host.len - domain.len), domain);
}

static bool split(struct kv_slice text, struct origin *ret)
{
    const char *colon = memmem(text.bytes, text.len, "://", 3);
    if (colon == NULL || colon == text.bytes)
        return false;
    ret->scheme = (struct kv_slice){text.bytes, (size_t)(colon - text.bytes)};
    ret->authority = skip(text, ret->scheme.len + 3);
    return true;
}

bool kv_origin_pattern_is_valid(struct kv_slice text)
{
    struct origin origin;
    struct kv_authority authority;
    if (is_any(text))
        return true;
    return split(text, &origin) && kv_authority_parse(fixed_part(origin.authority), &authority) &&
           !is_any(authority.host) && kv_host_pattern_is_valid(authority.host);
}

/* Both have a host and possibly a port; the host of the pattern begins with `*.`. */
static bool matches_below_domain(struct kv_slice pattern, struct kv_slice authority)
{
    struct kv_authority listed, found;
    return kv_authority_parse(skip(pattern, 2), &listed) && kv_authority_parse(authority, &found) &&
           kv_slice_equals(listed.port, found.port) &&
           kv_host_pattern_matches((struct kv_slice){pattern.bytes, listed.host.len + 2},
                                   found.host);
}

bool kv_origin_pattern_matches(struct kv_slice pattern, struct kv_slice origin)
{
    struct origin listed, found;
    if (is_any(pattern) || equals_ignoring_case(pattern, origin))
        return true;
    return split(pattern, &listed) && is_below_domain(listed.authority) && split(origin, &found) &&
           equals_ignoring_case(listed.scheme, found.scheme) &&
           matches_below_domain(listed.authority, found.authority);
}
