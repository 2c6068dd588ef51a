#include "http/host.h"

#include "wire/authority.h"
#include "wire/host_pattern.h"

static void keep(struct kv_last_host *last, struct kv_slice host)
{
    if (host.len == 0 || host.len > KV_LONGEST_HOST_KEPT)
        return;
    memcpy(last->bytes, host.bytes, host.len);
    last->len = host.len;
}

static bool is_listed(const struct kv_http_config *config, struct kv_slice host)
{
    for (size_t i = 0; i < config->n_hosts; i++)
        if (kv_host_pattern_matches(config->hosts[i], host))
            return true;
    return false;
}

bool kv_host_is_served(const struct kv_http_config *config, struct kv_last_host *last,
                       struct kv_slice host)
{
    struct kv_authority authority;
    if (!kv_authority_parse(host, &authority))
        return false;
    bool is_served = authority.host.len == 0 || kv_authority_is_loopback(authority.host) ||
                     is_listed(config, authority.host);
    if (is_served)
        keep(last, host);
    return is_served;
}
