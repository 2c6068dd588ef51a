/*
 * A store with one fault: FAULT, a statement that spoils the identity or the table before the
 * loader sees them. Its functions are never called.
 */
#include <kvserver/store.h>

static int bad_open(const struct kv_store_host *host, const struct kv_option_value *options,
                    struct kv_store **ret_store, struct kv_error *reterr)
{
    (void)host;
    (void)options;
    (void)ret_store;
    return kv_error_set(reterr, "a bad module was opened");
}

static void bad_info(struct kv_store *store, struct kv_store_info *ret_info)
{
    (void)store;
    (void)ret_info;
}

static void bad_submit(struct kv_store *store, uint32_t loop, struct kv_cmd *const *cmds, size_t n)
{
    (void)store;
    (void)loop;
    (void)cmds;
    (void)n;
}

static void bad_scan(struct kv_store *store, uint32_t loop, struct kv_scan *scan)
{
    (void)store;
    (void)loop;
    (void)scan;
}

static int64_t bad_expire(struct kv_store *store, uint32_t part, int64_t now_ms, uint32_t max)
{
    (void)store;
    (void)part;
    (void)now_ms;
    (void)max;
    return KV_NEVER;
}

static void bad_ref(struct kv_store *store, void *ref)
{
    (void)store;
    (void)ref;
}

static void bad_close(struct kv_store *store)
{
    (void)store;
}

static struct kv_store_ops ops = {
    .size = sizeof(ops),
    .open = bad_open,
    .info = bad_info,
    .submit = bad_submit,
    .scan = bad_scan,
    .expire = bad_expire,
    .ref = bad_ref,
    .unref = bad_ref,
    .close = bad_close,
};

static struct kv_module module = {
    KV_MODULE_IDENTITY, .kind = KV_MODULE_STORE, .name = NAME, .version = "1.0", .ops = &ops,
};

static const struct kv_module *spoilt(void)
{
    FAULT;
    return &module;
}

KV_MODULE_EXPORT(spoilt())
