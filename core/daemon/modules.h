/*
 * The modules that the file names: each is loaded, as its schema is needed, and its block checked.
 * What is wrong is noted in the configuration.
 */
#ifndef KV_DAEMON_MODULES_H
#define KV_DAEMON_MODULES_H

#include "daemon/settings.h"

/* Where modules are unless the file says so: beside the program, as it is built; or where both are
 * installed. Owns: the caller. */
char *kv_modules_folder(void);

/* Reads the `storage` of the file; the blocks of other stores are checked as well, so that swapping
 * the store is one line. */
void kv_modules_read_storage(struct kv_config *config);

/* Reads an entry of a list of modules. list, i: which one; name: of its module; options: its block.
 */
void kv_modules_read_entry(struct kv_config *config, enum kv_module_kind kind, const char *list,
                           size_t i, const char *name, const struct kv_conf_node *options,
                           struct kv_configured_module *ret);

void kv_modules_unload(struct kv_configured_module *module);

#endif
