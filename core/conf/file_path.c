/*
 * A relative path is appended to the folder of the file, which has no links in it, so leading `..`
 * can be resolved textually. The rest of the path may contain links, and is not changed.
 */
#include "conf/file_path.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/fault.h"
#include "conf/memory.h"
#include "conf/tree.h"

char *kv_file_path_folder(int file, const char *path)
{
    struct stat status;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode))
        return realpath(".", NULL);
    char *copy = kv_strdup(path);
    const char *folder = dirname(copy);
    char *real = realpath(folder, NULL);
    if (real == NULL) /* then messages show it as given */
        real = kv_strdup(folder);
    free(copy);
    return real;
}

static struct kv_slice skip_slashes(struct kv_slice text)
{
    while (text.len > 0 && text.bytes[0] == '/') {
        text.bytes++;
        text.len--;
    }
    return text;
}

static bool begins_with_step(struct kv_slice text, const char *step)
{
    size_t len = strlen(step);
    return kv_slice_has_prefix(text, kv_slice_of(step)) &&
           (text.len == len || text.bytes[len] == '/');
}

/* Removes leading `.` and `..` from the text, and for each `..` the last folder from `out`. */
static struct kv_slice take_steps(struct kv_slice text, struct kv_buffer *out)
{
    for (;;) {
        bool is_up = begins_with_step(text, "..");
        if (!is_up && !begins_with_step(text, "."))
            return text;
        text.bytes += is_up ? 2 : 1;
        text.len -= is_up ? 2 : 1;
        text = skip_slashes(text);
        while (is_up && out->len > 0 && out->bytes[--out->len] != '/')
            continue;
    }
}

struct kv_slice kv_file_path_resolve(struct kv_conf *conf, struct kv_slice text)
{
    if (conf->folder == NULL || text.len == 0 || text.bytes[0] == '/')
        return text;
    struct kv_buffer joined = {0};
    if (strcmp(conf->folder, "/") != 0)
        kv_buffer_append(&joined, kv_slice_of(conf->folder));
    text = take_steps(text, &joined);
    if (text.len > 0 || joined.len == 0)
        kv_buffer_append_char(&joined, '/');
    kv_buffer_append(&joined, text);
    struct kv_slice resolved = kv_conf_copy(conf, kv_buffer_slice(&joined));
    kv_buffer_fini(&joined);
    return resolved;
}

void kv_file_path_remember(struct kv_conf *conf, const struct kv_conf_path *path)
{
    if (conf->n_paths == conf->max_paths) {
        conf->max_paths = conf->max_paths == 0 ? 8 : 2 * conf->max_paths;
        conf->paths = kv_realloc(conf->paths, conf->max_paths * sizeof(*conf->paths));
    }
    struct kv_conf_path *kept = &conf->paths[conf->n_paths++];
    *kept = *path;
    kept->written = kv_conf_copy(conf, kv_slice_of(path->written)).bytes;
    kept->option = kv_conf_copy(conf, kv_slice_of(path->option)).bytes;
}

size_t kv_conf_n_paths(const struct kv_conf *conf)
{
    return conf->n_paths;
}

/* Whether paths can be used. Errors: errno, and `at` becomes the offending path. */

static int fail(int code)
{
    errno = code;
    return -1;
}

static int check_file_to_read(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0 || faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) != 0)
        return -1;
    return S_ISDIR(status.st_mode) ? fail(EISDIR) : 0;
}

/* Folders of the kernel: they appear to be writable, but nothing can be created in them. */
static bool is_kernel_folder(const char *path)
{
    struct statfs status;
    return statfs(path, &status) == 0 &&
           (status.f_type == PROC_SUPER_MAGIC || status.f_type == SYSFS_MAGIC);
}

static int check_folder(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return -1;
    if (!S_ISDIR(status.st_mode))
        return fail(ENOTDIR);
    if (is_kernel_folder(path))
        return fail(EPERM);
    return faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS);
}

/* Whether errno says that the path, or a folder above it, does not exist. */
static bool is_missing(void)
{
    return errno == ENOENT || errno == ENOTDIR;
}

/* Removes the last component. */
static void go_up(char *path)
{
    char *parent = dirname(path);
    memmove(path, parent, strlen(parent) + 1);
}

static int check_file_to_write(char *at)
{
    struct stat status;
    if (stat(at, &status) == 0)
        return S_ISDIR(status.st_mode) ? fail(EISDIR) : faccessat(AT_FDCWD, at, W_OK, AT_EACCESS);
    if (!is_missing())
        return -1;
    go_up(at);
    return check_folder(at);
}

/* Whether it is a dangling link, which prevents creating a folder of that name. */
static bool is_dead_link(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
}

/* If the folder is missing, checks the nearest existing folder above it. */
static int check_folder_to_make(char *at)
{
    struct stat status;
    while (stat(at, &status) != 0 && is_missing() && strcmp(at, "/") != 0 && strcmp(at, ".") != 0) {
        if (is_dead_link(at))
            return fail(ENOENT);
        go_up(at);
    }
    return check_folder(at);
}

static int check_use(uint32_t flags, char *at)
{
    if (flags & KV_OPTION_READS)
        return check_file_to_read(at);
    if (flags & KV_OPTION_WRITES)
        return check_file_to_write(at);
    return flags & KV_OPTION_FOLDER ? check_folder_to_make(at) : 0;
}

/* at: the offending path: the path itself, or a folder above it. */
static void note_fault(struct kv_conf *conf, const struct kv_conf_path *path, const char *at)
{
    const char *why = strerror(errno);
    bool is_relative = conf->folder != NULL && path->written[0] != '/';
    bool is_above = strcmp(at, path->text) != 0;
    kv_conf_fault(conf, path->at, "%s (%s%s%s): %s%s%s", path->text, path->option,
                  is_relative ? ", relative to " : "", is_relative ? conf->folder : "",
                  is_above ? at : "", is_above ? ": " : "", why);
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat one, other;
    return strcmp(a, b) == 0 ||
           (stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
            one.st_ino == other.st_ino && S_ISREG(one.st_mode));
}

/* Two parts of the server that write the same file would mix their output. */
static void note_written_twice(struct kv_conf *conf, size_t i)
{
    const struct kv_conf_path *path = &conf->paths[i];
    for (size_t k = 0; k < i; k++) {
        const struct kv_conf_path *other = &conf->paths[k];
        if ((other->flags & KV_OPTION_WRITES) == 0 || other->text[0] == '\0' ||
            !is_same_file(path->text, other->text))
            continue;
        kv_conf_fault(conf, path->at, "%s: %s is also written by %s", path->option, path->text,
                      other->option);
        return;
    }
}

static void check_path(struct kv_conf *conf, size_t i)
{
    const struct kv_conf_path *path = &conf->paths[i];
    char *at = kv_strdup(path->text);
    if (check_use(path->flags, at) != 0)
        note_fault(conf, path, at);
    else if (path->flags & KV_OPTION_WRITES)
        note_written_twice(conf, i);
    free(at);
}

void kv_conf_check_paths(struct kv_conf *conf, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (conf->paths[i].text[0] != '\0')
            check_path(conf, i);
}
