/*
 * The requirements of each kind, and the check of an identity against them. Pure functions of
 * constant data, private to this folder.
 */
#ifndef KV_MODULE_CHECK_H
#define KV_MODULE_CHECK_H

#include <kvserver/module.h>
#include <kvserver/sink.h>
#include <kvserver/store.h>
#include <kvserver/ttl.h>

/* The identity of a module that passed the check, and its functions, in this server's sizes. */
struct kv_module_facts {
    struct kv_module identity;
    void *ops; /* zeros after the end of the module's table; owned by the caller, by free() */
};

/* The kind's name, which is also its folder's: `store`, `ttl`, `sink`. Returns: NULL for a kind
 * that this server does not know. */
const char *kv_module_kind_name(enum kv_module_kind kind);

/* Whether `given`, the constant of the module at `path`, can run in this server as a module of that
 * kind and of the file's name (`stem`, without `.so`). `given` may be NULL.
 * Returns: 0, or -1 and *reterr, which begins with the path. */
int kv_module_check(const char *path, struct kv_slice stem, enum kv_module_kind kind,
                    const struct kv_module *given, struct kv_module_facts *ret,
                    struct kv_error *reterr);

#endif
