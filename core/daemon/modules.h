/*
 * The modules that the configuration names: loads each of them, as its schema is needed, and checks
 * its block. Faults are noted in the configuration.
 */
#ifndef KV_DAEMON_MODULES_H
#define KV_DAEMON_MODULES_H

#include "daemon/settings.h"

/* The default folder of modules: next to the program in a build; or the one where both are
 * installed. Owns: the caller. */
char *kv_modules_folder(void);

/* Reads `storage`; the blocks of other stores are checked as well, so that one line is enough to
 * change the store. */
void kv_modules_read_storage(struct kv_config *config);

/* Reads an entry of a list of modules. list, i: the list and the index; name: of its module;
 * options: its block. */
void kv_modules_read_entry(struct kv_config *config, enum kv_module_kind kind, const char *list,
                           size_t i, const char *name, const struct kv_conf_node *options,
                           struct kv_configured_module *ret);

void kv_modules_unload(struct kv_configured_module *module);

#endif
