#include "http/origin.h"

#include <strings.h>

#include "wire/host_pattern.h"

static bool is_port(struct kv_slice text)
{
    if (text.len == 0)
        return true;
    if (text.bytes[0] != ':' || text.len < 2 || text.len > 6)
        return false;
    for (size_t i = 1; i < text.len; i++)
        if (text.bytes[i] < '0' || text.bytes[i] > '9')
            return false;
    return true;
}

/* `<scheme><host>[:port]` for this host. */
static bool is_at(struct kv_slice origin, struct kv_slice scheme, struct kv_slice host)
{
    size_t len = scheme.len + host.len;
    if (origin.len < len || strncasecmp(origin.bytes, scheme.bytes, scheme.len) != 0 ||
        strncasecmp(origin.bytes + scheme.len, host.bytes, host.len) != 0)
        return false;
    return is_port((struct kv_slice){origin.bytes + len, origin.len - len});
}

static bool is_of_this_machine(struct kv_slice origin)
{
    static const struct kv_slice schemes[] = {{"http://", 7}, {"https://", 8}};
    static const struct kv_slice hosts[] = {{"localhost", 9}, {"127.0.0.1", 9}, {"[::1]", 5}};
    for (size_t s = 0; s < sizeof(schemes) / sizeof(schemes[0]); s++)
        for (size_t h = 0; h < sizeof(hosts) / sizeof(hosts[0]); h++)
            if (is_at(origin, schemes[s], hosts[h]))
                return true;
    return false;
}

static bool is_listed(const struct kv_http_config *config, struct kv_slice origin)
{
    for (size_t i = 0; i < config->n_origins; i++)
        if (kv_origin_pattern_matches(config->origins[i], origin))
            return true;
    return false;
}

bool kv_origin_is_named(const struct kv_http_config *config, struct kv_slice origin)
{
    for (size_t i = 0; origin.len != 0 && i < config->n_origins; i++)
        if (!kv_slice_equals(config->origins[i], KV_SLICE("*")) &&
            kv_origin_pattern_matches(config->origins[i], origin))
            return true;
    return false;
}

static bool is_allowed(const struct kv_http_config *config, struct kv_slice origin)
{
    return origin.len <= KV_LONGEST_ORIGIN &&
           (is_of_this_machine(origin) || is_listed(config, origin));
}

bool kv_origin_is_refused(const struct kv_http_config *config, const struct kv_request *request,
                          struct kv_slice *ret_refused)
{
    size_t at = 0;
    while (kv_request_next_header(request, KV_HEADER_ORIGIN, &at, ret_refused))
        if (!is_allowed(config, *ret_refused))
            return true;
    return false;
}
