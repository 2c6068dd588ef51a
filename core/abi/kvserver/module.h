/*
 * A KvServer module is a shared object with one exported function, kv_module_entry(), which returns
 * one constant struct kv_module. Include this header and the header of the kind (store.h, ttl.h,
 * sink.h), libc and your own library; nothing else of the server is available to modules.
 *
 * Versions: a module runs in a server of the same ABI major and of the same or a later minor.
 * Within a major, structs only grow at their ends; every struct that crosses the boundary carries
 * its size, and the size of the older side limits what may be read.
 */
#ifndef KVSERVER_MODULE_H
#define KVSERVER_MODULE_H

#include <kvserver/check.h>
#include <kvserver/host.h>
#include <kvserver/option.h>
#include <kvserver/types.h>

#define KV_ABI_MAJOR 1
#define KV_ABI_MINOR 8

enum kv_module_kind {
    KV_MODULE_STORE = 1, /* ops: struct kv_store_ops */
    KV_MODULE_TTL = 2,   /* ops: struct kv_ttl_ops */
    KV_MODULE_SINK = 3,  /* ops: struct kv_sink_ops */
};

/* Constant data, alive while the module is loaded. The members up to `name` keep their place in
 * every version, so that any server can report which module and version it was given. */
struct kv_module {
    uint16_t abi_major; /* KV_ABI_MAJOR and KV_ABI_MINOR as the module was built */
    uint16_t abi_minor;
    uint32_t size;         /* sizeof(struct kv_module) */
    uint32_t kind;         /* enum kv_module_kind */
    uint32_t option_size;  /* sizeof(struct kv_option) */
    const char *name;      /* as in the YAML file; also the file's name without `.so` */
    const char *version;   /* the module's own version */
    uint64_t capabilities; /* optional features of the kind that the module has; see the kind */
    const struct kv_option *options;
    size_t n_options;
    const void *ops; /* the kind's table; its first member is its size */
};

#define KV_MODULE_ENTRY "kv_module_entry"
typedef const struct kv_module *(*kv_module_entry_fn)(void);

/* Defines the entry: KV_MODULE_EXPORT(&the_module) at the end of the module's file. */
#define KV_MODULE_EXPORT(module)                                                                   \
    __attribute__((visibility("default"))) const struct kv_module *kv_module_entry(void);          \
    __attribute__((visibility("default"))) const struct kv_module *kv_module_entry(void)           \
    {                                                                                              \
        return module;                                                                             \
    }

/* The first members of every module; `.kind` and the rest follow. */
#define KV_MODULE_IDENTITY                                                                         \
    .abi_major = KV_ABI_MAJOR, .abi_minor = KV_ABI_MINOR, .size = sizeof(struct kv_module),        \
    .option_size = sizeof(struct kv_option)

#endif
