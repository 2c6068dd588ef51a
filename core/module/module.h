/*
 * Loading modules: finds the shared object, checks that it keeps the module ABI
 * (core/abi/kvserver), and hands out its identity and its table of functions in the sizes that
 * this server was built with. The only part of the server that loads code.
 *
 * A module is checked once, here, so that whoever calls its functions need not: a slot that its
 * kind or its capabilities require is there. What it wants from the YAML file is checked against
 * its schema elsewhere (core/conf).
 */
#ifndef KV_MODULE_MODULE_H
#define KV_MODULE_MODULE_H

#include <kvserver/module.h>
#include <kvserver/sink.h>
#include <kvserver/store.h>
#include <kvserver/ttl.h>

/* A module that passed the checks. Read-only to everyone but the loader. */
struct kv_loaded_module {
    const struct kv_module *identity; /* members that the module's build did not know are zero */
    const void *ops; /* the kind's table in this server's size; slots unknown to the module are
                        NULL */
    char *path;
    void *handle; /* from dlopen() */
};

/* Loads `<folder>/<kind>/<name>.so`, as in build/modules/store/memory.so. A name is a plain file
 * name: one with a '/' or with a '.' in front is refused. The same module may be loaded again;
 * each success is undone by a kv_module_unload() of its own.
 * Returns: 0, or -1 and *reterr with one line that names the file and, where the two do not fit
 * together, what it says of itself and what was expected. Where there is no such file, the line
 * names the kind that has a module of that name, or the module that was most likely meant, and all
 * that the folder has of this kind.
 * Threads: any; may block on the disk. Runs the module's initialisers. */
int kv_module_load(const char *folder, enum kv_module_kind kind, const char *name,
                   struct kv_loaded_module **ret, struct kv_error *reterr);

/* The names of the modules of that kind in the folder, sorted, NULL behind them; none where it
 * cannot be read. Owns: the caller, by kv_module_names_free(). */
char **kv_module_names(const char *folder, enum kv_module_kind kind);
void kv_module_names_free(char **names);

/* kv_module_load() for a shared object anywhere, as a module's author has it. */
int kv_module_load_file(const char *path, enum kv_module_kind kind, struct kv_loaded_module **ret,
                        struct kv_error *reterr);

/* Gives the module back. Nothing of it may be in use: what it opened is closed, its schema and
 * texts are forgotten. Accepts NULL. */
void kv_module_unload(struct kv_loaded_module *module);

/* The table of a module of that kind; asserts that it is of that kind. Owns: the module. */
const struct kv_store_ops *kv_module_store_ops(const struct kv_loaded_module *module);
const struct kv_ttl_ops *kv_module_ttl_ops(const struct kv_loaded_module *module);
const struct kv_sink_ops *kv_module_sink_ops(const struct kv_loaded_module *module);

#endif
