/*
 * A TTL policy with one fault: FAULT, a statement that spoils the identity or the table before the
 * loader sees them. Its functions are never called.
 */
#include <kvserver/ttl.h>

static int bad_open(const struct kv_host *host, const struct kv_option_value *options,
                    struct kv_ttl **ret_policy, struct kv_error *reterr)
{
    (void)host;
    (void)options;
    (void)ret_policy;
    return kv_error_set(reterr, "a bad module was opened");
}

static void bad_on_write(struct kv_ttl *policy, struct kv_ttl_write *write)
{
    (void)policy;
    (void)write;
}

static void bad_close(struct kv_ttl *policy)
{
    (void)policy;
}

static struct kv_ttl_ops ops = {
    .size = sizeof(ops),
    .open = bad_open,
    .on_write = bad_on_write,
    .close = bad_close,
};

static struct kv_module module = {
    KV_MODULE_IDENTITY, .kind = KV_MODULE_TTL, .name = NAME, .version = "1.0", .ops = &ops,
};

static const struct kv_module *spoilt(void)
{
    FAULT;
    return &module;
}

KV_MODULE_EXPORT(spoilt())
