/*
 * The loader: from a name to a path, from a path to a shared object, from its one exported function
 * to an identity that passed the checks (check.c). A loaded module owns copies of the identity and
 * of the table, so that callers never read beyond the end of the module's own structs; the texts,
 * the schema and the functions stay in the shared object, until it is unloaded.
 */
#include "module/module.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/distance.h"
#include "base/mem.h"
#include "module/check.h"

/* The part that callers see, and the memory for it. */
struct loaded {
    struct kv_loaded_module module;
    struct kv_module_facts facts;
};

static const char suffix[] = ".so";

/* The file's name without folder and suffix. */
static struct kv_slice stem_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct kv_slice stem = kv_slice_of(slash == NULL ? path : slash + 1);
    size_t len = strlen(suffix);
    if (stem.len > len && memcmp(stem.bytes + stem.len - len, suffix, len) == 0)
        stem.len -= len;
    return stem;
}

static bool is_plain_name(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}

static int is_module_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && stem_of(entry->d_name).len < strlen(entry->d_name);
}

static char *folder_of(const char *folder, enum kv_module_kind kind)
{
    struct kv_buffer path = {0};
    kv_buffer_printf(&path, "%s/%s", folder, kv_module_kind_name(kind));
    return path.bytes;
}

static char *name_of(const struct dirent *entry)
{
    struct kv_slice stem = stem_of(entry->d_name);
    char *name = kv_calloc(stem.len + 1, 1);
    memcpy(name, stem.bytes, stem.len);
    return name;
}

char **kv_module_names(const char *folder, enum kv_module_kind kind)
{
    char *path = folder_of(folder, kind);
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, is_module_file, alphasort);
    char **names = kv_calloc((size_t)(n < 0 ? 0 : n) + 1, sizeof(*names));
    for (int i = 0; i < n; i++) {
        names[i] = name_of(entries[i]);
        free(entries[i]);
    }
    free(entries);
    free(path);
    return names;
}

void kv_module_names_free(char **names)
{
    for (size_t i = 0; names[i] != NULL; i++)
        free(names[i]);
    free(names);
}

static bool has_module(const char *folder, enum kv_module_kind kind, const char *name)
{
    struct kv_buffer path = {0};
    kv_buffer_printf(&path, "%s/%s/%s%s", folder, kv_module_kind_name(kind), name, suffix);
    bool is_there = access(path.bytes, F_OK) == 0;
    kv_buffer_fini(&path);
    return is_there;
}

/* Returns: the name of another kind that has a module of that name; NULL if none has. */
static const char *other_kind_of(const char *folder, enum kv_module_kind kind, const char *name)
{
    static const enum kv_module_kind kinds[] = {KV_MODULE_STORE, KV_MODULE_TTL, KV_MODULE_SINK};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (kinds[i] != kind && has_module(folder, kinds[i], name))
            return kv_module_kind_name(kinds[i]);
    return NULL;
}

/* names: not empty; `there are: memory, simple`, or the one that was likely meant. */
static int refuse_unlisted(const char *path, const char *kind_name, const char *name,
                           char *const *names, struct kv_error *reterr)
{
    static const char left_out[] =
        "a module whose library is not installed is left out of the build";
    struct kv_buffer list = {0};
    const char *nearest = NULL;
    for (size_t i = 0; names[i] != NULL; i++) {
        kv_buffer_printf(&list, "%s%s", i == 0 ? "" : ", ", names[i]);
        kv_name_offer(name, names[i], &nearest);
    }
    if (nearest != NULL)
        kv_error_set(reterr, "no %s module \"%s\" (did you mean \"%s\"?) in %s (there are: %.*s)",
                     kind_name, name, nearest, path, (int)list.len, list.bytes);
    else
        kv_error_set(reterr, "no %s module \"%s\" in %s (there are: %.*s; %s)", kind_name, name,
                     path, (int)list.len, list.bytes, left_out);
    kv_buffer_fini(&list);
    return -1;
}

static int refuse_missing(const char *folder, enum kv_module_kind kind, const char *name,
                          struct kv_error *reterr)
{
    const char *kind_name = kv_module_kind_name(kind);
    const char *other_kind = other_kind_of(folder, kind, name);
    char *path = folder_of(folder, kind);
    char **names = kv_module_names(folder, kind);
    if (other_kind != NULL)
        kv_error_set(reterr, "%s is a %s, not a %s", name, other_kind, kind_name);
    else if (access(path, R_OK | X_OK) != 0)
        kv_error_set(reterr, "the folder of the modules cannot be read: %s: %s", path,
                     strerror(errno));
    else if (names[0] == NULL)
        kv_error_set(reterr, "no %s module \"%s\" in %s (there are none)", kind_name, name, path);
    else
        refuse_unlisted(path, kind_name, name, names, reterr);
    kv_module_names_free(names);
    free(path);
    return -1;
}

/* Returns: NULL and *reterr if it is not a shared object or lacks a library. */
static void *open_object(const char *path, struct kv_error *reterr)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle != NULL)
        return handle;
    const char *why = dlerror();
    size_t len = strlen(path);
    if (strncmp(why, path, len) == 0 && strncmp(why + len, ": ", 2) == 0)
        why += len + 2;
    kv_error_set(reterr, "%s cannot be loaded: %s", path, why);
    return NULL;
}

static int check_object(struct loaded *loaded, enum kv_module_kind kind, struct kv_error *reterr)
{
    const char *path = loaded->module.path;
    kv_module_entry_fn entry = (kv_module_entry_fn)dlsym(loaded->module.handle, KV_MODULE_ENTRY);
    if (entry == NULL)
        return kv_error_set(reterr, "%s is no module of this server: it exports no %s()", path,
                            KV_MODULE_ENTRY);
    if (kv_module_check(path, stem_of(path), kind, entry(), &loaded->facts, reterr) != 0)
        return -1;
    loaded->module.identity = &loaded->facts.identity;
    loaded->module.ops = loaded->facts.ops;
    return 0;
}

/* Takes `path` over. */
static int load(char *path, enum kv_module_kind kind, struct kv_loaded_module **ret,
                struct kv_error *reterr)
{
    struct loaded *loaded = kv_calloc(1, sizeof(*loaded));
    loaded->module.path = path;
    loaded->module.handle = open_object(path, reterr);
    if (loaded->module.handle == NULL || check_object(loaded, kind, reterr) != 0) {
        kv_module_unload(&loaded->module);
        return -1;
    }
    *ret = &loaded->module;
    return 0;
}

int kv_module_load(const char *folder, enum kv_module_kind kind, const char *name,
                   struct kv_loaded_module **ret, struct kv_error *reterr)
{
    if (!is_plain_name(name))
        return kv_error_set(reterr, "\"%s\" is not the name of a %s module", name,
                            kv_module_kind_name(kind));
    char *kind_folder = folder_of(folder, kind);
    struct kv_buffer path = {0};
    kv_buffer_printf(&path, "%s/%s%s", kind_folder, name, suffix);
    int rc = access(path.bytes, F_OK) == 0 ? kv_module_load_file(path.bytes, kind, ret, reterr)
                                           : refuse_missing(folder, kind, name, reterr);
    kv_buffer_fini(&path);
    free(kind_folder);
    return rc;
}

int kv_module_load_file(const char *path, enum kv_module_kind kind, struct kv_loaded_module **ret,
                        struct kv_error *reterr)
{
    assert(kv_module_kind_name(kind) != NULL);
    /* dlopen() searches the system's folders for a name without a slash. */
    struct kv_buffer found = {0};
    kv_buffer_printf(&found, "%s%s", strchr(path, '/') == NULL ? "./" : "", path);
    return load(found.bytes, kind, ret, reterr);
}

void kv_module_unload(struct kv_loaded_module *module)
{
    if (module == NULL)
        return;
    struct loaded *loaded = KV_CONTAINER(module, struct loaded, module);
    if (module->handle != NULL)
        dlclose(module->handle);
    free(loaded->facts.ops);
    free(module->path);
    free(loaded);
}

static const void *ops_of(const struct kv_loaded_module *module, enum kv_module_kind kind)
{
    assert(module->identity->kind == kind);
    return module->ops;
}

const struct kv_store_ops *kv_module_store_ops(const struct kv_loaded_module *module)
{
    return ops_of(module, KV_MODULE_STORE);
}

const struct kv_ttl_ops *kv_module_ttl_ops(const struct kv_loaded_module *module)
{
    return ops_of(module, KV_MODULE_TTL);
}

const struct kv_sink_ops *kv_module_sink_ops(const struct kv_loaded_module *module)
{
    return ops_of(module, KV_MODULE_SINK);
}
