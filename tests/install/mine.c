/* A policy as a reader of modules/README.md writes it: each TTL, times a factor. */
#include <kvserver/ttl.h>

#include <stdlib.h>

enum {
    OPTION_FACTOR,
    N_OPTIONS
};

struct kv_ttl {
    int64_t factor;
};

static const struct kv_option mine_options[N_OPTIONS] = {
    [OPTION_FACTOR] =
        {.name = "factor", .type = KV_OPTION_INT, .fallback = "1", .min = 1, .max = 9},
};

static int mine_open(const struct kv_host *host, const struct kv_option_value *options,
                     struct kv_ttl **ret_policy, struct kv_error *reterr)
{
    (void)host;
    struct kv_ttl *policy = malloc(sizeof(*policy));
    if (policy == NULL)
        return kv_error_set(reterr, "no memory");
    policy->factor = options[OPTION_FACTOR].integer;
    *ret_policy = policy;
    return 0;
}

static void mine_on_write(struct kv_ttl *policy, struct kv_ttl_write *write)
{
    if (write->ttl_ms > KV_TTL_MAX_MS / policy->factor)
        write->ttl_ms = KV_TTL_MAX_MS;
    else
        write->ttl_ms *= policy->factor;
}

static void mine_close(struct kv_ttl *policy)
{
    free(policy);
}

static const struct kv_ttl_ops mine_ops = {
    .size = sizeof(mine_ops),
    .open = mine_open,
    .on_write = mine_on_write,
    .close = mine_close,
};

static const struct kv_module mine_module = {
    KV_MODULE_IDENTITY,      .kind = KV_MODULE_TTL,  .name = "mine",   .version = "1.0",
    .options = mine_options, .n_options = N_OPTIONS, .ops = &mine_ops,
};

KV_MODULE_EXPORT(&mine_module)
