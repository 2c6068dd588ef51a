/*
 * A policy without effect: every TTL stays as requested. It is the smallest possible module, and so
 * a template; a policy would alter write->ttl_ms in on_write().
 */
#include <kvserver/ttl.h>

#include <stdlib.h>

/* A policy with options or counters keeps them here. */
struct kv_ttl {
    const struct kv_host *host;
};

static int fixed_open(const struct kv_host *host, const struct kv_option_value *options,
                      struct kv_ttl **ret_policy, struct kv_error *reterr)
{
    (void)options;
    struct kv_ttl *policy = malloc(sizeof(*policy));
    if (policy == NULL)
        return kv_error_set(reterr, "ttl fixed: no memory");
    policy->host = host;
    *ret_policy = policy;
    return 0;
}

static void fixed_on_write(struct kv_ttl *policy, struct kv_ttl_write *write)
{
    (void)policy;
    (void)write;
}

static void fixed_close(struct kv_ttl *policy)
{
    free(policy);
}

static const struct kv_ttl_ops fixed_ops = {
    .size = sizeof(fixed_ops),
    .open = fixed_open,
    .on_write = fixed_on_write,
    .close = fixed_close,
};

static const struct kv_module fixed_module = {
    KV_MODULE_IDENTITY, .kind = KV_MODULE_TTL, .name = "fixed", .version = "1.0", .ops = &fixed_ops,
};

KV_MODULE_EXPORT(&fixed_module)
