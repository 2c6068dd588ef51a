#include "kvctl/contexts.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "kvctl/say.h"

enum {
    FOLDER_MODE = 0700,
    FILE_MODE = 0600
};

static char *print(const char *format, const char *text)
{
    struct kv_buffer out = {0};
    kv_buffer_printf(&out, format, text);
    kv_buffer_append_char(&out, '\0');
    return out.bytes;
}

/* Returns: NULL if there is no home folder. */
static char *find_path(void)
{
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    if (config != NULL && config[0] == '/')
        return print("%s/kvctl/contexts.json", config);
    return home == NULL ? NULL : print("%s/.config/kvctl/contexts.json", home);
}

/* The file may have been edited by hand. */
static bool is_as_written(const json_t *root)
{
    const json_t *context, *contexts = json_object_get(root, "contexts");
    const json_t *current = json_object_get(root, "current");
    const char *name;
    if (!json_is_object(contexts) || (current != NULL && !json_is_string(current)))
        return false;
    json_object_foreach((json_t *)contexts, name,
                        context) if (!json_is_object(context) ||
                                     !json_is_string(json_object_get(context, "url"))) return false;
    return true;
}

static int load(struct kv_ctl_contexts *contexts, FILE *file, struct kv_error *reterr)
{
    json_error_t error;
    struct stat status;
    if (fstat(fileno(file), &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        kv_ctl_say("warning: others may read %s: chmod 600 it", contexts->path);
    contexts->root = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
    if (contexts->root == NULL)
        return kv_error_set(reterr, "%s:%d: %s", contexts->path, error.line, error.text);
    if (!is_as_written(contexts->root))
        return kv_error_set(reterr, "%s: these are no contexts of kvctl", contexts->path);
    return 0;
}

int kv_ctl_contexts_open(struct kv_ctl_contexts *contexts, struct kv_error *reterr)
{
    *contexts = (struct kv_ctl_contexts){.path = find_path()};
    FILE *file = contexts->path == NULL ? NULL : fopen(contexts->path, "re");
    if (file == NULL && contexts->path != NULL && errno != ENOENT && errno != ENOTDIR)
        return kv_error_set(reterr, "%s: %s", contexts->path, strerror(errno));
    if (file == NULL) {
        contexts->root = json_pack("{s:{}}", "contexts");
        return 0;
    }
    int result = load(contexts, file, reterr);
    fclose(file);
    return result;
}

void kv_ctl_contexts_close(struct kv_ctl_contexts *contexts)
{
    json_decref(contexts->root);
    free(contexts->path);
    *contexts = (struct kv_ctl_contexts){0};
}

/* Creates the folder of the file, and the one above. */
static int make_folders(char *path)
{
    for (char *at = path + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        int result = mkdir(path, FOLDER_MODE);
        *at = '/';
        if (result != 0 && errno != EEXIST)
            return -1;
    }
    return 0;
}

static int write_file(const json_t *root, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd < 0)
        return -1;
    bool is_written = json_dumpfd(root, fd, JSON_INDENT(2) | JSON_SORT_KEYS) == 0 &&
                      write(fd, "\n", 1) == 1 && fsync(fd) == 0;
    return close(fd) == 0 && is_written ? 0 : -1;
}

int kv_ctl_contexts_save(const struct kv_ctl_contexts *contexts, struct kv_error *reterr)
{
    if (contexts->path == NULL)
        return kv_error_set(reterr, "there is no home folder to keep contexts in (HOME)");
    char *fresh = print("%s.new", contexts->path);
    int result = make_folders(contexts->path);
    if (result == 0)
        unlink(fresh); /* left by an earlier run */
    if (result == 0 && ((result = write_file(contexts->root, fresh)) != 0 ||
                        (result = rename(fresh, contexts->path)) != 0))
        unlink(fresh);
    if (result != 0)
        kv_error_set(reterr, "%s: %s", contexts->path, strerror(errno));
    free(fresh);
    return result;
}

static json_t *contexts_of(const struct kv_ctl_contexts *contexts)
{
    return json_object_get(contexts->root, "contexts");
}

const char *kv_ctl_contexts_current(const struct kv_ctl_contexts *contexts)
{
    const char *name = json_string_value(json_object_get(contexts->root, "current"));
    return name != NULL && kv_ctl_contexts_have(contexts, name) ? name : NULL;
}

void kv_ctl_contexts_use(struct kv_ctl_contexts *contexts, const char *name)
{
    if (name == NULL)
        json_object_del(contexts->root, "current");
    else
        json_object_set_new(contexts->root, "current", json_string(name));
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **kv_ctl_contexts_names(const struct kv_ctl_contexts *contexts)
{
    size_t n = 0;
    json_t *context;
    const char *name;
    const char **names = kv_calloc(json_object_size(contexts_of(contexts)) + 1, sizeof(*names));
    json_object_foreach(contexts_of(contexts), name, context) names[n++] = name;
    qsort(names, n, sizeof(*names), compare);
    return names;
}

bool kv_ctl_contexts_have(const struct kv_ctl_contexts *contexts, const char *name)
{
    return json_object_get(contexts_of(contexts), name) != NULL;
}

const char *kv_ctl_contexts_get(const struct kv_ctl_contexts *contexts, const char *name,
                                const char *member)
{
    const json_t *context = json_object_get(contexts_of(contexts), name);
    return json_string_value(json_object_get(context, member));
}

void kv_ctl_contexts_set(struct kv_ctl_contexts *contexts, const char *name, const char *member,
                         const char *value)
{
    json_t *context = json_object_get(contexts_of(contexts), name);
    if (context == NULL) {
        context = json_object();
        json_object_set_new(contexts_of(contexts), name, context);
    }
    if (value == NULL)
        json_object_del(context, member);
    else
        json_object_set_new(context, member, json_string(value));
}

void kv_ctl_contexts_remove(struct kv_ctl_contexts *contexts, const char *name)
{
    const char *current = kv_ctl_contexts_current(contexts);
    if (current != NULL && strcmp(current, name) == 0)
        kv_ctl_contexts_use(contexts, NULL);
    json_object_del(contexts_of(contexts), name);
}
