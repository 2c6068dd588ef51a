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

static void bounded_check(const struct kv_option_value *options, const struct kv_faults *faults)
{
    long long fallback = options[OPTION_DEFAULT].integer;
    long long minimum = options[OPTION_MINIMUM].integer;
    long long maximum = options[OPTION_MAXIMUM].integer;
    if (fallback == 0 && minimum == 0 && maximum == 0)
        faults->add(faults, "", "one of default, minimum and maximum has to be given");
    if (maximum != 0 && minimum > maximum)
        faults->add(faults, "minimum", "%lld ms is longer than maximum (%lld ms)", minimum,
                    maximum);
    if (fallback != 0 && fallback < minimum)
        faults->add(faults, "default", "%lld ms is shorter than minimum (%lld ms)", fallback,
                    minimum);
    if (maximum != 0 && fallback > maximum)
        faults->add(faults, "default", "%lld ms is longer than maximum (%lld ms)", fallback,
                    maximum);
}

static int bounded_open(const struct kv_host *host, const struct kv_option_value *options,
                        struct kv_ttl **ret_policy, struct kv_error *reterr)
{
    struct kv_ttl *policy = malloc(sizeof(*policy));
    (void)host;
    if (policy == NULL)
        return kv_error_set(reterr, "no memory");
    *policy = (struct kv_ttl){.default_ms = options[OPTION_DEFAULT].integer,
                              .minimum_ms = options[OPTION_MINIMUM].integer,
                              .maximum_ms = options[OPTION_MAXIMUM].integer,
                              .prefixes = &options[OPTION_PREFIXES]};
    *ret_policy = policy;
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
    .check = bounded_check,
};

static const struct kv_module bounded_module = {
    KV_MODULE_IDENTITY,         .kind = KV_MODULE_TTL,  .name = "bounded",   .version = "1.0",
    .options = bounded_options, .n_options = N_OPTIONS, .ops = &bounded_ops,
};

KV_MODULE_EXPORT(&bounded_module)
