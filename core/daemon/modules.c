#include "daemon/modules.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/distance.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/option.h"
#include "conf/schema.h"
#include "daemon/schema.h"
#include "module/check.h"

char *kv_modules_folder(void)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);
    while (len > 0 && path[len - 1] != '/')
        len--;
    if (len <= 0)
        return kv_strdup("modules");
    path[len] = '\0';
    struct kv_buffer folder = {0};
    kv_buffer_printf(&folder, "%smodules", path);
    kv_buffer_append_char(&folder, '\0');
    if (access(folder.bytes, F_OK) == 0)
        return folder.bytes;
    folder.len = 0;
    kv_buffer_printf(&folder, "%s../" KV_INSTALLED_MODULES, path);
    kv_buffer_append_char(&folder, '\0');
    return folder.bytes;
}

void kv_modules_unload(struct kv_configured_module *module)
{
    kv_module_unload(module->module);
    *module = (struct kv_configured_module){0};
}

static const char *folder_of(const struct kv_config *config)
{
    return config->values[CONFIG_MODULES].string.bytes;
}

/* below: a subfolder, from its slash on. */
static bool has_kinds(const char *folder, const char *below)
{
    static const enum kv_module_kind kinds[] = {KV_MODULE_STORE, KV_MODULE_TTL, KV_MODULE_SINK};
    bool has_any = false;
    for (size_t i = 0; i < KV_COUNT(kinds) && !has_any; i++) {
        struct kv_buffer path = {0};
        kv_buffer_printf(&path, "%s%s/%s", folder, below, kv_module_kind_name(kinds[i]));
        has_any = access(path.bytes, F_OK) == 0;
        kv_buffer_fini(&path);
    }
    return has_any;
}

/* Errors: -1, noted once, however many modules are missing. */
static int check_folder(struct kv_config *config)
{
    const char *folder = folder_of(config);
    const struct kv_conf_node *at = kv_conf_node_find(kv_conf_root(config->conf), "modules");
    if (access(folder, X_OK) != 0)
        return kv_conf_fault(config->conf, at, "modules: the folder %s cannot be read: %s", folder,
                             strerror(errno));
    if (has_kinds(folder, ""))
        return 0;
    if (has_kinds(folder, "/modules"))
        return kv_conf_fault(config->conf, at,
                             "modules: there are none in %s; did you mean %s/modules?", folder,
                             folder);
    return kv_conf_fault(config->conf, at,
                         "modules: there are none in %s, whose folders would be store, ttl and "
                         "sink",
                         folder);
}

/* block: its options are not known yet. */
static void check_options(struct kv_config *config, const struct kv_conf_block *block,
                          struct kv_configured_module *module)
{
    const struct kv_module *identity = module->module->identity;
    module->block = *block;
    module->block.path = kv_conf_copy(config->conf, kv_slice_of(block->path)).bytes;
    module->block.options = identity->options;
    module->block.n_options = identity->n_options;
    module->block.option_size = identity->option_size;
    module->first_path = kv_conf_n_paths(config->conf);
    module->is_faulty = kv_conf_check(config->conf, &module->block, &module->options) != 0;
    module->end_path = kv_conf_n_paths(config->conf);
}

static int load(struct kv_config *config, enum kv_module_kind kind, const char *name,
                const struct kv_conf_block *block, struct kv_loaded_module **ret)
{
    const struct kv_conf_node *folder = kv_conf_node_find(
        kv_conf_root(config->conf), "modules"); /* for a default module that is missing */
    struct kv_error error;
    if (check_folder(config) != 0)
        return -1;
    if (kv_module_load(folder_of(config), kind, name, ret, &error) != 0)
        return kv_conf_fault(config->conf, block->at == NULL ? folder : block->at, "%s",
                             error.text);
    const struct kv_module *identity = (*ret)->identity;
    if (kv_schema_check(identity->options, identity->n_options, identity->option_size, &error) == 0)
        return 0;
    kv_conf_fault(config->conf, block->at, "%s: its table of options is faulty: %s", (*ret)->path,
                  error.text);
    kv_module_unload(*ret);
    return -1;
}

/* Loads a module and checks its block. If it cannot be loaded, *ret stays empty. */
static void configure(struct kv_config *config, enum kv_module_kind kind, const char *name,
                      const struct kv_conf_block *block, struct kv_configured_module *ret)
{
    struct kv_configured_module module = {0};
    if (load(config, kind, name, block, &module.module) != 0)
        return;
    check_options(config, block, &module);
    *ret = module;
}

/* ---- the store ---- */

static bool is_listed(char *const *names, const char *name)
{
    while (*names != NULL && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

static bool has_option(const struct kv_module *identity, const char *name)
{
    for (size_t i = 0; i < identity->n_options; i++)
        if (strcmp(kv_option_at(identity->options, identity->option_size, i).name, name) == 0)
            return true;
    return false;
}

/* Whether the key is an option of the store, which belongs into the store's own block. */
static bool is_option_of(const struct kv_config *config, const char *store, const char *key)
{
    struct kv_loaded_module *module;
    struct kv_error error;
    if (kv_module_load(folder_of(config), KV_MODULE_STORE, store, &module, &error) != 0)
        return false;
    const struct kv_module *identity = module->identity;
    bool is_option = kv_schema_check(identity->options, identity->n_options, identity->option_size,
                                     &error) == 0 &&
                     has_option(identity, key);
    kv_module_unload(module);
    return is_option;
}

/* Notes a key of `storage` that is neither `module` nor a store. */
static void note_unknown(struct kv_config *config, const struct kv_conf_node *child,
                         const char *key, char *const *names)
{
    const char *nearest = NULL;
    struct kv_buffer stores = {0};
    kv_name_offer(key, "module", &nearest);
    for (size_t i = 0; names[i] != NULL; i++) {
        kv_name_offer(key, names[i], &nearest);
        kv_buffer_printf(&stores, ", %s", names[i]);
    }
    if (nearest != NULL)
        kv_conf_fault_key(config->conf, child, "storage: unknown key \"%s\" (did you mean \"%s\"?)",
                          key, nearest);
    else
        kv_conf_fault_key(config->conf, child,
                          "storage: unknown key \"%s\" (there are: module%.*s)", key,
                          (int)stores.len, stores.len == 0 ? "" : stores.bytes);
    kv_buffer_fini(&stores);
}

static void check_other(struct kv_config *config, const char *name,
                        const struct kv_conf_node *child, char *const *names, const char *selected)
{
    struct kv_configured_module other = {0};
    char path[256];
    if (!is_listed(names, name) && is_option_of(config, selected, name)) {
        kv_conf_fault_key(config->conf, child,
                          "storage: unknown key \"%s\" (it belongs in storage.%s)", name, selected);
        return;
    }
    if (!is_listed(names, name)) {
        note_unknown(config, child, name, names);
        return;
    }
    snprintf(path, sizeof(path), "storage.%s", name);
    const struct kv_conf_block block = {.node = child, .at = child, .path = path};
    configure(config, KV_MODULE_STORE, name, &block, &other);
    kv_modules_unload(&other);
}

static void check_others(struct kv_config *config, const struct kv_conf_node *storage,
                         const char *selected)
{
    if (check_folder(config) != 0)
        return;
    char **names = kv_module_names(folder_of(config), KV_MODULE_STORE);
    for (size_t i = 0; i < kv_conf_node_size(storage); i++) {
        const char *key = kv_conf_node_name(storage, i);
        if (strcmp(key, "module") != 0 && strcmp(key, selected) != 0)
            check_other(config, key, kv_conf_node_child(storage, i), names, selected);
    }
    kv_module_names_free(names);
}

void kv_modules_read_storage(struct kv_config *config)
{
    const struct kv_conf_node *storage = config->values[CONFIG_STORAGE].tree;
    if (kv_conf_node_is_faulty(storage))
        return;
    if (!kv_conf_node_is_empty(storage) && !kv_conf_node_is_mapping(storage)) {
        const char *text = kv_conf_node_text(storage);
        kv_conf_fault(config->conf, storage, "storage: a mapping like {module: %s} is expected",
                      text == NULL ? KV_DEFAULT_STORE : text);
        return;
    }
    const struct kv_conf_node *named = kv_conf_node_find(storage, "module");
    const char *name = kv_conf_node_text(named);
    check_others(config, storage, name == NULL ? KV_DEFAULT_STORE : name);
    if (named != NULL && name == NULL) {
        if (!kv_conf_node_is_faulty(named))
            kv_conf_fault(config->conf, named, "storage.module: the name of a store is expected");
        return;
    }
    if (name == NULL)
        name = KV_DEFAULT_STORE;
    char path[256];
    snprintf(path, sizeof(path), "storage.%s", name);
    const struct kv_conf_block block = {
        .node = kv_conf_node_find(storage, name), .at = named, .path = path};
    configure(config, KV_MODULE_STORE, name, &block, &config->store);
}

/* ---- lists of modules ---- */

void kv_modules_read_entry(struct kv_config *config, enum kv_module_kind kind, const char *list,
                           size_t i, const char *name, const struct kv_conf_node *options,
                           struct kv_configured_module *ret)
{
    char path[64];
    snprintf(path, sizeof(path), "%s[%zu].options", list, i);
    const struct kv_conf_node *entry =
        kv_conf_node_child(kv_conf_node_find(kv_conf_root(config->conf), list), i);
    const struct kv_conf_node *named = kv_conf_node_find(entry, "module");
    bool is_sink = kind == KV_MODULE_SINK;
    const struct kv_conf_block block = {
        .node = options,
        .at = named == NULL ? entry : named,
        .path = path,
        .outer = is_sink ? kv_sink_fields : kv_module_fields,
        .n_outer = is_sink ? KV_COUNT(kv_sink_fields) : KV_COUNT(kv_module_fields),
    };
    if (*name != '\0' || (named != NULL && !kv_conf_node_is_empty(named) &&
                          !kv_conf_node_is_faulty(named))) /* otherwise it is noted as missing */
        configure(config, kind, name, &block, ret);
}
