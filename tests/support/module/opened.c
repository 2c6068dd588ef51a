#include "support/module/opened.h"

#include <stdatomic.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/mem.h"

static int64_t host_now_ms(const struct kv_host *host)
{
    struct kv_test_module *module = KV_CONTAINER(host, struct kv_test_module, host);
    int64_t now_ms = atomic_load(&module->now_ms);
    return now_ms != 0 ? now_ms : kv_clock_now_ms(&kv_clock_boot);
}

static int64_t host_wall_us(const struct kv_host *host)
{
    (void)host;
    return kv_wall_us();
}

static void host_log(const struct kv_host *host, enum kv_log_level level, const char *format, ...)
{
    struct kv_test_module *module =
        (struct kv_test_module *)((char *)(uintptr_t)host - offsetof(struct kv_test_module, host));
    va_list args;
    (void)level;
    va_start(args, format);
    vsnprintf(module->log, sizeof(module->log), format, args);
    va_end(args);
}

static kv_check_fn check_of(const struct kv_loaded_module *module)
{
    switch (module->identity->kind) {
    case KV_MODULE_STORE:
        return kv_module_store_ops(module)->check;
    case KV_MODULE_TTL:
        return kv_module_ttl_ops(module)->check;
    default:
        return kv_module_sink_ops(module)->check;
    }
}

/* As the server does before open(). */
static void check(struct kv_test_module *module, const struct kv_module *identity)
{
    const struct kv_conf_block block = {
        .node = kv_conf_root(module->conf),
        .path = "",
        .options = identity->options,
        .n_options = identity->n_options,
        .option_size = identity->option_size,
    };
    if (kv_conf_check(module->conf, &block, &module->options) == 0)
        kv_conf_take_findings(module->conf, &block, false, check_of(module->module),
                              module->options);
}

int kv_test_module_load(struct kv_test_module *module, const char *path, enum kv_module_kind kind,
                        const char *options, struct kv_error *reterr)
{
    struct kv_buffer yaml = {0};
    *module = (struct kv_test_module){.host = {.size = sizeof(module->host),
                                               .now_ms = host_now_ms,
                                               .wall_us = host_wall_us,
                                               .log = host_log}};
    if (kv_module_load_file(path, kind, &module->module, reterr) != 0)
        return -1;
    const struct kv_module *identity = module->module->identity;
    kv_buffer_printf(&yaml, "{%s}", options);
    if (kv_conf_parse("options", kv_buffer_slice(&yaml), &module->conf) == 0)
        check(module, identity);
    kv_buffer_fini(&yaml);
    if (kv_conf_n_faults(module->conf) == 0)
        return 0;
    struct kv_buffer faults = {0};
    kv_conf_append_faults(module->conf, "", &faults);
    kv_error_set(reterr, "%.*s", (int)faults.len - 1, faults.bytes);
    kv_buffer_fini(&faults);
    kv_test_module_unload(module);
    return -1;
}

void kv_test_module_unload(struct kv_test_module *module)
{
    kv_conf_destroy(module->conf);
    kv_module_unload(module->module);
    module->conf = NULL;
    module->module = NULL;
}
