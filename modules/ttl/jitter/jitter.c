/*
 * Shortens each TTL by a random part, so that keys written together do not expire together. It
 * never lengthens a TTL: no key exists longer than requested.
 *
 * Each thread has its own random numbers (splitmix64, Steele, Lea and Flood 2014), so that loops
 * share nothing.
 */
#include "../prefixes.h"

#include <stdlib.h>
#include <sys/random.h>

enum {
    OPTION_PERCENT,
    OPTION_PREFIXES,
    N_OPTIONS
};

struct kv_ttl {
    double share; /* the largest part by which a TTL is shortened */
    const struct kv_option_value *prefixes;
};

static const struct kv_option jitter_options[N_OPTIONS] = {
    [OPTION_PERCENT] = {.name = "percent",
                        .type = KV_OPTION_INT,
                        .fallback = "10",
                        .min = 1,
                        .max = 90,
                        .doc = "the most that is taken off a TTL"},
    [OPTION_PREFIXES] = PREFIXES_OPTION,
};

static uint64_t draw(void)
{
    static _Thread_local uint64_t state;
    if (state == 0 && getrandom(&state, sizeof(state), 0) != sizeof(state))
        state = (uint64_t)(uintptr_t)&state;
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int jitter_open(const struct kv_host *host, const struct kv_option_value *options,
                       struct kv_ttl **ret_policy, struct kv_error *reterr)
{
    (void)host;
    struct kv_ttl *policy = malloc(sizeof(*policy));
    if (policy == NULL)
        return kv_error_set(reterr, "no memory");
    *policy = (struct kv_ttl){.share = (double)options[OPTION_PERCENT].integer / 100,
                              .prefixes = &options[OPTION_PREFIXES]};
    *ret_policy = policy;
    return 0;
}

static void jitter_on_write(struct kv_ttl *policy, struct kv_ttl_write *write)
{
    if (write->ttl_ms == 0 || !prefixes_have(policy->prefixes, write->key))
        return;
    double part = (double)(draw() >> 11) * 0x1p-53; /* from 0 to below 1 */
    write->ttl_ms -= (int64_t)((double)write->ttl_ms * policy->share * part);
}

static void jitter_close(struct kv_ttl *policy)
{
    free(policy);
}

static const struct kv_ttl_ops jitter_ops = {
    .size = sizeof(jitter_ops),
    .open = jitter_open,
    .on_write = jitter_on_write,
    .close = jitter_close,
};

static const struct kv_module jitter_module = {
    KV_MODULE_IDENTITY,        .kind = KV_MODULE_TTL,  .name = "jitter",   .version = "1.0",
    .options = jitter_options, .n_options = N_OPTIONS, .ops = &jitter_ops,
};

KV_MODULE_EXPORT(&jitter_module)
