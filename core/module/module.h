/*
 * Loading modules: finds the shared object, checks that it complies with the module ABI
 * (core/abi/kvserver), and hands out its identity and its table of functions in the sizes of this
 * server's build. Only this folder loads code.
 *
 * A module is checked once, here, so that callers of its functions need not: the functions that its
 * kind or its capabilities require are there. Its options in the YAML file are checked against its
 * schema elsewhere (core/conf).
 */
#ifndef KV_MODULE_MODULE_H
#define KV_MODULE_MODULE_H

#include <kvserver/module.h>
#include <kvserver/sink.h>
#include <kvserver/store.h>
#include <kvserver/ttl.h>

/* A module that passed the checks. Only the loader may modify it. */
struct kv_loaded_module {
    const struct kv_module *identity; /* members that the module's build did not know are zero */
    const void *ops; /* the kind's table in this server's size; slots unknown to the module are
                        NULL */
    char *path;
    void *handle; /* from dlopen() */
};

/* Loads `<folder>/<kind>/<name>.so`, as in build/modules/store/memory.so. A name is a plain file
 * name: a name with a '/' or a leading '.' is refused. The same module may be loaded again; each
 * success needs a kv_module_unload() of its own.
 * Returns: 0, or -1 and *reterr with one line that names the file and, if module and server do not
 * fit together, both sides' values. If there is no such file, the line names the kind that has a
 * module of that name, or the module that was most likely meant, and all modules of this kind in
 * the folder.
 * Threads: any; may block on the disk. Runs the module's initialisers. */
int kv_module_load(const char *folder, enum kv_module_kind kind, const char *name,
                   struct kv_loaded_module **ret, struct kv_error *reterr);

/* The names of the modules of that kind in the folder, sorted, NULL-terminated; none if the folder
 * cannot be read. Owns: the caller, by kv_module_names_free(). */
char **kv_module_names(const char *folder, enum kv_module_kind kind);
void kv_module_names_free(char **names);

/* kv_module_load() for a shared object anywhere, for authors of modules. */
int kv_module_load_file(const char *path, enum kv_module_kind kind, struct kv_loaded_module **ret,
                        struct kv_error *reterr);

/* Unloads the module. Nothing of it may be in use: everything it opened is closed, its schema and
 * texts are no longer referred to. Accepts NULL. */
void kv_module_unload(struct kv_loaded_module *module);

/* The table of functions of a module; asserts that it is of that kind. Owns: the module. */
const struct kv_store_ops *kv_module_store_ops(const struct kv_loaded_module *module);
const struct kv_ttl_ops *kv_module_ttl_ops(const struct kv_loaded_module *module);
const struct kv_sink_ops *kv_module_sink_ops(const struct kv_loaded_module *module);

#endif
