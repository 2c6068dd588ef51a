/*
 * A read renews the TTL of a key. Only keys with a deadline are renewed, and never to an earlier
 * one. The new deadline is written by a TOUCH on condition of the revision that was read; if it
 * would move by less than a step, nothing is written.
 */
#include <kvserver/store.h>

#include "../prefixes.h"

#include <stdlib.h>

enum {
    OPTION_TTL,
    OPTION_STEP,
    OPTION_PREFIXES,
    N_OPTIONS
};

struct kv_ttl {
    int64_t ttl_ms;
    int64_t step_ms;
    const struct kv_option_value *prefixes;
};

static const struct kv_option sliding_options[N_OPTIONS] = {
    [OPTION_TTL] = {.name = "ttl",
                    .type = KV_OPTION_DURATION,
                    .flags = KV_OPTION_REQUIRED,
                    .min = 1,
                    .max = KV_TTL_MAX_MS,
                    .doc = "the life that is left after a read, and after a write without a TTL"},
    [OPTION_STEP] = {.name = "step",
                     .type = KV_OPTION_DURATION,
                     .max = KV_TTL_MAX_MS,
                     .doc = "a deadline that would move by less is left; a tenth of ttl, if not "
                            "given"},
    [OPTION_PREFIXES] = PREFIXES_OPTION,
};

static int64_t step_of(const struct kv_option_value *options)
{
    return options[OPTION_STEP].is_given ? options[OPTION_STEP].integer
                                         : options[OPTION_TTL].integer / 10;
}

static void sliding_check(const struct kv_option_value *options, const struct kv_faults *faults)
{
    int64_t ttl_ms = options[OPTION_TTL].integer; /* 0: missing or invalid */
    if (ttl_ms != 0 && step_of(options) >= ttl_ms)
        faults->add(faults, "step",
                    "%lld ms is not shorter than ttl (%lld ms): keys would expire though they are "
                    "read",
                    (long long)step_of(options), (long long)ttl_ms);
}

static int sliding_open(const struct kv_host *host, const struct kv_option_value *options,
                        struct kv_ttl **ret_policy, struct kv_error *reterr)
{
    struct kv_ttl *policy = malloc(sizeof(*policy));
    (void)host;
    if (policy == NULL)
        return kv_error_set(reterr, "no memory");
    *policy = (struct kv_ttl){.ttl_ms = options[OPTION_TTL].integer,
                              .step_ms = step_of(options),
                              .prefixes = &options[OPTION_PREFIXES]};
    *ret_policy = policy;
    return 0;
}

static void sliding_on_write(struct kv_ttl *policy, struct kv_ttl_write *write)
{
    if (!write->is_given && write->ttl_ms == 0 && prefixes_have(policy->prefixes, write->key))
        write->ttl_ms = policy->ttl_ms;
}

static void sliding_on_read(struct kv_ttl *policy, struct kv_ttl_read *read)
{
    int64_t renewed_ms = read->now_ms + policy->ttl_ms;
    if (read->deadline_ms == KV_NEVER || renewed_ms <= read->deadline_ms ||
        renewed_ms - read->deadline_ms < policy->step_ms ||
        !prefixes_have(policy->prefixes, read->key))
        return;
    read->deadline_ms = renewed_ms;
}

static void sliding_close(struct kv_ttl *policy)
{
    free(policy);
}

static const struct kv_ttl_ops sliding_ops = {
    .size = sizeof(sliding_ops),
    .open = sliding_open,
    .on_write = sliding_on_write,
    .on_read = sliding_on_read,
    .close = sliding_close,
    .check = sliding_check,
};

static const struct kv_module sliding_module = {
    KV_MODULE_IDENTITY,     .kind = KV_MODULE_TTL,         .name = "sliding",
    .version = "1.0",       .capabilities = KV_TTL_RENEWS, .options = sliding_options,
    .n_options = N_OPTIONS, .ops = &sliding_ops,
};

KV_MODULE_EXPORT(&sliding_module)
