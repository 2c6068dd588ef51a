/*
 * A TTL for writes without one, and bounds for all of them. "No expiry" counts as longer than any
 * TTL: a maximum applies to it, a minimum does not.
 */
#include "../prefixes.h"

#include <stdlib.h>

enum {
    OPTION_DEFAULT,
    OPTION_MINIMUM,
    OPTION_MAXIMUM,
    OPTION_PREFIXES,
    N_OPTIONS
};

struct kv_ttl {
    int64_t default_ms, minimum_ms, maximum_ms; /* 0: none */
    const struct kv_option_value *prefixes;
};

static const struct kv_option bounded_options[N_OPTIONS] = {
    [OPTION_DEFAULT] = {.name = "default",
                        .type = KV_OPTION_DURATION,
                        .fallback = "0",
                        .max = KV_TTL_MAX_MS,
                        .doc = "for a write without a TTL; 0: no expiry"},
    [OPTION_MINIMUM] = {.name = "minimum",
                        .type = KV_OPTION_DURATION,
                        .fallback = "0",
                        .max = KV_TTL_MAX_MS,
                        .doc = "shorter ones become as long; 0: no minimum"},
    [OPTION_MAXIMUM] = {.name = "maximum",
                        .type = KV_OPTION_DURATION,
                        .fallback = "0",
                        .max = KV_TTL_MAX_MS,
                        .doc = "longer ones, and no expiry, become as short; 0: no maximum"},
    [OPTION_PREFIXES] = PREFIXES_OPTION,
};

static int check(const struct kv_ttl *policy, struct kv_error *reterr)
{
    if (policy->default_ms == 0 && policy->minimum_ms == 0 && policy->maximum_ms == 0)
        return kv_error_set(reterr, "one of default, minimum and maximum has to be given");
    if (policy->maximum_ms != 0 && policy->minimum_ms > policy->maximum_ms)
        return kv_error_set(reterr, "minimum (%lld ms) is longer than maximum (%lld ms)",
                            (long long)policy->minimum_ms, (long long)policy->maximum_ms);
    if (policy->default_ms != 0 && policy->default_ms < policy->minimum_ms)
        return kv_error_set(reterr, "default (%lld ms) is shorter than minimum (%lld ms)",
                            (long long)policy->default_ms, (long long)policy->minimum_ms);
    if (policy->maximum_ms != 0 && policy->default_ms > policy->maximum_ms)
        return kv_error_set(reterr, "default (%lld ms) is longer than maximum (%lld ms)",
                            (long long)policy->default_ms, (long long)policy->maximum_ms);
    return 0;
}

static int bounded_open(const struct kv_host *host, const struct kv_option_value *options,
                        struct kv_ttl **ret_policy, struct kv_error *reterr)
{
    (void)host;
    struct kv_ttl policy = {.default_ms = options[OPTION_DEFAULT].integer,
                            .minimum_ms = options[OPTION_MINIMUM].integer,
                            .maximum_ms = options[OPTION_MAXIMUM].integer,
                            .prefixes = &options[OPTION_PREFIXES]};
    if (check(&policy, reterr) != 0)
        return -1;
    if ((*ret_policy = malloc(sizeof(policy))) == NULL)
        return kv_error_set(reterr, "no memory");
    **ret_policy = policy;
    return 0;
}

static void bounded_on_write(struct kv_ttl *policy, struct kv_ttl_write *write)
{
    if (!prefixes_have(policy->prefixes, write->key))
        return;
    if (!write->is_given && write->ttl_ms == 0)
        write->ttl_ms = policy->default_ms;
    if (write->ttl_ms != 0 && write->ttl_ms < policy->minimum_ms)
        write->ttl_ms = policy->minimum_ms;
    if (policy->maximum_ms != 0 && (write->ttl_ms == 0 || write->ttl_ms > policy->maximum_ms))
        write->ttl_ms = policy->maximum_ms;
}

static void bounded_close(struct kv_ttl *policy)
{
    free(policy);
}

static const struct kv_ttl_ops bounded_ops = {
    .size = sizeof(bounded_ops),
    .open = bounded_open,
    .on_write = bounded_on_write,
    .close = bounded_close,
};

static const struct kv_module bounded_module = {
    KV_MODULE_IDENTITY,         .kind = KV_MODULE_TTL,  .name = "bounded",   .version = "1.0",
    .options = bounded_options, .n_options = N_OPTIONS, .ops = &bounded_ops,
};

KV_MODULE_EXPORT(&bounded_module)
