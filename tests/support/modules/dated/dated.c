/*
 * The store simple, in the shape of a durable store that was built before ABI 1.3: it lacks
 * open_to_read(). It keeps nothing, and leaves its folder alone.
 */
#include <kvserver/store.h>

#include <stddef.h>

const struct kv_module *inner_module_entry(void);

static struct kv_option options[2];
static struct kv_store_ops ops;
static struct kv_module module;

static const struct kv_module *date_back(void)
{
    const struct kv_module *inner = inner_module_entry();
    options[0] = inner->options[0];
    options[1] =
        (struct kv_option){.name = "path", .type = KV_OPTION_PATH, .flags = KV_OPTION_FOLDER};
    ops = *(const struct kv_store_ops *)inner->ops;
    ops.size = offsetof(struct kv_store_ops, open_to_read);
    module = *inner;
    module.abi_minor = 2;
    module.name = "dated";
    module.capabilities = KV_STORE_DURABLE | KV_STORE_SYNC | KV_STORE_ORDERED;
    module.options = options;
    module.n_options = sizeof(options) / sizeof(options[0]);
    module.ops = &ops;
    return &module;
}

KV_MODULE_EXPORT(date_back())
