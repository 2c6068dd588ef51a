/*
 * A folder without a mark must be empty, so that a store is never mixed with foreign files. The
 * mark is first written under another name, and renamed when the new store has its first rows. So
 * an incomplete new store may be started again, and a store with a mark but no rows has lost them.
 */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK     "FORMAT"
#define NEW_MARK MARK ".new"
#define LOCK     "kvserver.lock"

enum {
    MARK_MAX = 128,
    ROOM_BYTES = 16 << 20
};

static int fail(const char *path, const char *what, struct kv_error *reterr)
{
    return kv_error_set(reterr, "%s: %s: %s", path, what, strerror(errno));
}

/* Returns: NULL if memory runs out. Owns: the caller. */
static char *join(const char *path, const char *name)
{
    char *joined = NULL;
    return asprintf(&joined, "%s/%s", path, name) < 0 ? NULL : joined;
}

int folder_sync(const char *path)
{
    int at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = at < 0 ? -1 : fsync(at);
    if (at >= 0)
        close(at);
    return result;
}

static int sync_parent(const char *path)
{
    char *copy = strdup(path);
    int result = copy == NULL ? -1 : folder_sync(dirname(copy));
    free(copy);
    return result;
}

/* A new folder survives a power cut once its parent has been synced. An existing folder may come
 * from an interrupted opening; but it may also be foreign, and its parent may be inaccessible. */
static int make_folder(const char *path, struct kv_error *reterr)
{
    bool is_made = mkdir(path, 0750) == 0;
    if ((!is_made && errno != EEXIST) || (sync_parent(path) != 0 && is_made))
        return fail(path, "this folder cannot be made", reterr);
    return 0;
}

/* Creates the missing parts of the path. */
static int make_folders(const char *path, struct kv_error *reterr)
{
    char *part = strdup(path);
    if (part == NULL)
        return fail(path, "no memory", reterr);
    int result = 0;
    for (char *slash = part + 1; result == 0; slash++) {
        if (*slash != '/' && *slash != '\0')
            continue;
        char end = *slash;
        *slash = '\0';
        result = make_folder(part, reterr);
        *slash = end;
        if (end == '\0')
            break;
    }
    free(part);
    return result;
}

/* ---- the lock ---- */

/* flags: O_RDWR | O_CREAT, or O_RDONLY for an existing one. */
static int take_lock(const char *path, int at, int flags, struct kv_error *reterr)
{
    int lock = openat(at, LOCK, flags | O_CLOEXEC, 0640);
    if (lock < 0)
        return fail(path,
                    flags == O_RDONLY ? "its " LOCK " cannot be opened"
                                      : "this folder cannot be written to",
                    reterr);
    if (flock(lock, LOCK_EX | LOCK_NB) == 0)
        return lock;
    if (errno == EWOULDBLOCK)
        kv_error_set(reterr, "%s: in use by another server", path);
    else
        fail(path, "the lock cannot be taken", reterr);
    close(lock);
    return -1;
}

/* ---- the mark ---- */

/* Whether there are only files that this code creates before the mark. */
static bool is_empty(int at)
{
    int copy = openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    if (folder == NULL) {
        if (copy >= 0)
            close(copy);
        return false;
    }
    bool is_empty = true;
    for (struct dirent *entry; is_empty && (entry = readdir(folder)) != NULL;)
        is_empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                   strcmp(entry->d_name, LOCK) == 0 || strcmp(entry->d_name, NEW_MARK) == 0 ||
                   strcmp(entry->d_name, "lost+found") == 0;
    closedir(folder);
    return is_empty;
}

/* The content of a mark. It is written and parsed by one rule: a mark that could not have been
 * written by it is damaged. */
struct mark {
    char store[64];
    int format;
};

static int mark_write(const struct mark *mark, char text[MARK_MAX])
{
    return snprintf(text, MARK_MAX, "kvserver store %s format %d\n", mark->store, mark->format);
}

static bool mark_read(const char *text, struct mark *ret)
{
    char written[MARK_MAX];
    if (sscanf(text, "kvserver store %63s format %9d", ret->store, &ret->format) != 2)
        return false;
    mark_write(ret, written);
    return ret->format > 0 && strcmp(text, written) == 0;
}

static int write_new_mark(const char *path, int at, const char *name, struct kv_error *reterr)
{
    char text[MARK_MAX];
    struct mark mark = {.format = FOLDER_FORMAT};
    snprintf(mark.store, sizeof(mark.store), "%s", name);
    int len = mark_write(&mark, text);
    int file = openat(at, NEW_MARK, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (file < 0)
        return fail(path, "this folder cannot be written to", reterr);
    bool is_written = write(file, text, (size_t)len) == len && fsync(file) == 0;
    close(file);
    if (!is_written || fsync(at) != 0)
        return fail(path, "this folder cannot be written to", reterr);
    return 0;
}

static int check_mark(const char *path, const char *text, const char *name, int *ret_format,
                      struct kv_error *reterr)
{
    struct mark found;
    if (!mark_read(text, &found))
        return kv_error_set(reterr, "%s/" MARK ": damaged: it should say the store and its format",
                            path);
    if (strcmp(found.store, name) != 0)
        return kv_error_set(reterr, "%s: belongs to the store %s, not to %s (see --export)", path,
                            found.store, name);
    if (found.format > FOLDER_FORMAT)
        return kv_error_set(reterr, "%s: written by a newer version (format %d; this one knows %d)",
                            path, found.format, FOLDER_FORMAT);
    *ret_format = found.format;
    return 0;
}

/* Returns: the length, -1 and errno if it cannot be read. */
static ssize_t read_text(int at, const char *name, char text[MARK_MAX])
{
    int file = openat(at, name, O_RDONLY | O_CLOEXEC);
    ssize_t len = file < 0 ? -1 : read(file, text, MARK_MAX - 1);
    if (file >= 0)
        close(file);
    text[len < 0 ? 0 : len] = '\0';
    return len;
}

/* Returns: 0 if the folder belongs to this store, or can be used for it: then it has no format
 * yet. */
static int judge(const char *path, int at, const char *name, struct folder *folder,
                 struct kv_error *reterr)
{
    char text[MARK_MAX];
    ssize_t len = read_text(at, MARK, text);
    folder->is_new = len < 0 && errno == ENOENT;
    if (len >= 0)
        return check_mark(path, text, name, &folder->format, reterr);
    if (!folder->is_new)
        return fail(path, MARK " cannot be read", reterr);
    if (read_text(at, NEW_MARK, text) > 0 &&
        check_mark(path, text, name, &folder->format, NULL) == 0)
        return 0;
    if (!is_empty(at))
        return kv_error_set(reterr, "%s: neither empty nor a store (it has no " MARK ")", path);
    return 0;
}

/* Whether its files can be opened: another user may have created them. */
static int judge_access(const char *path, int at, struct kv_error *reterr)
{
    static const char *const names[] = {LOCK, "db", "journal"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (faccessat(at, names[i], R_OK | W_OK, AT_EACCESS) != 0 && errno != ENOENT)
            return kv_error_set(reterr, "%s/%s: cannot be written to: %s", path, names[i],
                                strerror(errno));
    return 0;
}

int folder_judge(const char *path, const char *name, struct kv_error *reterr)
{
    struct folder found = {.lock = -1};
    int at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return errno == ENOENT ? 0 : fail(path, "this folder cannot be opened", reterr);
    int result = judge(path, at, name, &found, reterr) == 0 ? judge_access(path, at, reterr) : -1;
    close(at);
    return result;
}

static int read_mark(const char *path, int at, const char *name, struct folder *folder,
                     struct kv_error *reterr)
{
    if (judge(path, at, name, folder, reterr) != 0)
        return -1;
    if (folder->format != 0)
        return 0;
    folder->format = FOLDER_FORMAT;
    return write_new_mark(path, at, name, reterr);
}

/* Nothing is created in a foreign folder, not even the lock. */
static int refuse_foreign(const char *path, int at, const char *name, struct kv_error *reterr)
{
    struct folder found = {.lock = -1};
    return faccessat(at, LOCK, F_OK, 0) == 0 ? 0 : judge(path, at, name, &found, reterr);
}

static int renew_mark(const char *path, const char *name, struct kv_error *reterr)
{
    int at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = at < 0 ? fail(path, "this folder cannot be opened", reterr)
                        : write_new_mark(path, at, name, reterr);
    if (at >= 0)
        close(at);
    return result;
}

int folder_mark(const char *path, const char *name, const struct folder *folder,
                struct kv_error *reterr)
{
    if (!folder->is_new && folder->format == FOLDER_FORMAT)
        return 0;
    if (folder->format != FOLDER_FORMAT && renew_mark(path, name, reterr) != 0)
        return -1;
    char *from = join(path, NEW_MARK);
    char *to = join(path, MARK);
    bool is_marked = from != NULL && to != NULL && rename(from, to) == 0 && folder_sync(path) == 0;
    free(from);
    free(to);
    return is_marked ? 0 : fail(path, "this folder cannot be written to", reterr);
}

/* ---- opening ---- */

static int name_inner_folders(const char *path, struct folder *folder, struct kv_error *reterr)
{
    folder->database = join(path, "db");
    folder->journal = join(path, "journal");
    return folder->database == NULL || folder->journal == NULL ? fail(path, "no memory", reterr)
                                                               : 0;
}

/* Makes the folders in this one, and their names in it last. */
static int make_inner_folders(const char *path, struct folder *folder, struct kv_error *reterr)
{
    if (name_inner_folders(path, folder, reterr) != 0)
        return -1;
    return make_folder(folder->database, reterr) == 0 ? make_folder(folder->journal, reterr) : -1;
}

/* Takes ownership of `folder`. */
static int finish(int result, struct folder *folder, struct folder *ret)
{
    if (result == 0)
        *ret = *folder;
    else
        folder_close(folder);
    return result;
}

int folder_open(const char *path, const char *name, struct folder *ret, struct kv_error *reterr)
{
    struct folder folder = {.lock = -1};
    if (make_folders(path, reterr) != 0)
        return -1;
    int at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return fail(path, "this folder cannot be opened", reterr);
    int result = refuse_foreign(path, at, name, reterr) != 0 ||
                         (folder.lock = take_lock(path, at, O_RDWR | O_CREAT, reterr)) < 0 ||
                         read_mark(path, at, name, &folder, reterr) != 0 ||
                         make_inner_folders(path, &folder, reterr) != 0
                     ? -1
                     : 0;
    close(at);
    return finish(result, &folder, ret);
}

static int refuse_absent(const char *path, struct kv_error *reterr)
{
    return kv_error_set(reterr, "there is no store at %s", path);
}

/* The mark is checked first: without a store, there is nothing else to check. */
static int find_mark(const char *path, int at, const char *name, struct folder *folder,
                     struct kv_error *reterr)
{
    char text[MARK_MAX];
    if (read_text(at, MARK, text) >= 0)
        return check_mark(path, text, name, &folder->format, reterr);
    return errno == ENOENT ? refuse_absent(path, reterr)
                           : fail(path, MARK " cannot be read", reterr);
}

int folder_find(const char *path, const char *name, struct folder *ret, struct kv_error *reterr)
{
    struct folder folder = {.lock = -1};
    int at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? refuse_absent(path, reterr)
                   : fail(path, "this folder cannot be opened", reterr);
    int result = find_mark(path, at, name, &folder, reterr) != 0 ||
                         (folder.lock = take_lock(path, at, O_RDONLY, reterr)) < 0 ||
                         name_inner_folders(path, &folder, reterr) != 0
                     ? -1
                     : 0;
    close(at);
    return finish(result, &folder, ret);
}

void folder_close(struct folder *folder)
{
    free(folder->database);
    free(folder->journal);
    if (folder->lock >= 0)
        close(folder->lock);
    *folder = (struct folder){.lock = -1};
}

enum kv_engine_status folder_status(int fault)
{
    if (fault == 0)
        return KV_ENGINE_OK;
    return fault == ENOSPC || fault == EDQUOT ? KV_ENGINE_FULL : KV_ENGINE_FAILED;
}

enum kv_engine_status folder_try_room(const char *path)
{
    char *probe = join(path, "room.tmp");
    if (probe == NULL)
        return KV_ENGINE_FULL;
    int file = open(probe, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    int fault = file < 0 ? errno : posix_fallocate(file, 0, ROOM_BYTES);
    if (fault == 0 && fsync(file) != 0)
        fault = errno;
    if (file >= 0)
        close(file);
    unlink(probe);
    free(probe);
    return folder_status(fault);
}
