/* A store is in the folders that its options name (KV_OPTION_FOLDER). Other paths, such as that of
 * a socket, do not belong to it. */
#include "daemon/unfinished.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

struct kv_slice kv_store_folder(const struct kv_config *config, size_t option)
{
    const struct kv_configured_module *store = &config->store;
    const struct kv_option *declared = &store->module->identity->options[option];
    bool is_folder = declared->type == KV_OPTION_PATH && (declared->flags & KV_OPTION_FOLDER) != 0;
    struct kv_slice path = store->options[option].string;
    if (!is_folder)
        return (struct kv_slice){0};
    while (path.len > 1 && path.bytes[path.len - 1] == '/')
        path.len--;
    return path;
}

/* Owns: the caller. Returns: NULL if the option is not a folder, or is not given. */
static char *mark_of(const struct kv_config *config, size_t option)
{
    struct kv_slice folder = kv_store_folder(config, option);
    char *mark = NULL;
    if (folder.len != 0 && asprintf(&mark, "%.*s.restoring", (int)folder.len, folder.bytes) < 0)
        abort();
    return mark;
}

typedef int (*mark_fn)(const char *mark, struct kv_error *reterr);

static int for_each_mark(const struct kv_config *config, mark_fn act, struct kv_error *reterr)
{
    const struct kv_module *identity = config->store.module->identity;
    int result = 0;
    bool is_durable = (identity->capabilities & KV_STORE_DURABLE) != 0;
    for (size_t i = 0; i < identity->n_options && result == 0 && is_durable; i++) {
        char *mark = mark_of(config, i);
        if (mark != NULL)
            result = act(mark, reterr);
        free(mark);
    }
    return result;
}

/* Keeps errno. */
static int fail(const char *mark, struct kv_error *reterr)
{
    int fault = errno;
    kv_error_set(reterr, "%s: %s", mark, strerror(fault));
    errno = fault;
    return -1;
}

int kv_sync_entry(const char *path, struct kv_error *reterr)
{
    char *copy = kv_strdup(path);
    int folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    if (folder < 0)
        return fail(path, reterr);
    int result = fsync(folder) == 0 ? 0 : fail(path, reterr);
    int fault = errno;
    close(folder);
    errno = fault;
    return result;
}

/* Creates the parent folders of the mark. The store would create them too, but later. */
static int make_parents(const char *mark, struct kv_error *reterr)
{
    char *path = kv_strdup(mark);
    int result = 0;
    for (char *slash = path; result == 0 && (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        if (mkdir(path, 0750) == 0)
            result = kv_sync_entry(path, reterr);
        else if (errno != EEXIST)
            result = fail(path, reterr);
        *slash = '/';
    }
    free(path);
    return result;
}

/* Whether there is such a file or folder beside the store that has this mark. */
static bool has_beside(const char *mark, int store_len, const char *suffix)
{
    char *path = NULL;
    if (asprintf(&path, "%.*s%s", store_len, mark, suffix) < 0)
        abort();
    bool is_there = access(path, F_OK) == 0;
    free(path);
    return is_there;
}

static int refuse(const char *mark, struct kv_error *reterr)
{
    int len = (int)(strlen(mark) - strlen(".restoring")); /* of the store's path */
    if (access(mark, F_OK) != 0)
        return 0;
    if (has_beside(mark, len, ".restore"))
        return kv_error_set(reterr,
                            "a restore was not finished, so the store is not whole: start the "
                            "server, which restores %.*s.restore anew",
                            len, mark);
    if (has_beside(mark, len, ".replaced"))
        return kv_error_set(reterr,
                            "a restore was not finished, so the store is not whole: delete %.*s "
                            "and %s, and restore again, or rename %.*s.replaced to %.*s to return "
                            "to the store before",
                            len, mark, mark, len, mark, len, mark);
    return kv_error_set(reterr,
                        "a restore was not finished, so the store is not whole: delete %.*s and "
                        "%s, and restore again",
                        len, mark, mark);
}

static int make(const char *mark, struct kv_error *reterr)
{
    if (make_parents(mark, reterr) != 0)
        return -1;
    int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(mark, reterr);
    close(fd);
    return kv_sync_entry(mark, reterr);
}

static int clear(const char *mark, struct kv_error *reterr)
{
    if (unlink(mark) != 0 && errno != ENOENT)
        return fail(mark, reterr);
    return kv_sync_entry(mark, reterr);
}

int kv_unfinished_refuse(const struct kv_config *config, struct kv_error *reterr)
{
    return for_each_mark(config, refuse, reterr);
}

int kv_unfinished_mark(const struct kv_config *config, struct kv_error *reterr)
{
    return for_each_mark(config, make, reterr);
}

int kv_unfinished_clear(const struct kv_config *config, struct kv_error *reterr)
{
    return for_each_mark(config, clear, reterr);
}
