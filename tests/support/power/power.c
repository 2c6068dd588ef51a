/*
 * kv_power.so, preloaded into the server (KV_TEST_PRELOAD): records all changes of the files below
 * a folder, and their syncs, so that disk.c can reconstruct the content that a power cut leaves.
 *
 * KV_POWER_ROOT=<folder, resolved>, KV_POWER_JOURNAL=<file>: without both, nothing is recorded.
 *
 * A change is made first and recorded second, both under one lock, so the journal has the order of
 * the disk. A process that is killed between the two loses only data that was not synced anyway. A
 * sync covers the records that were in the journal when the sync began.
 *
 * Not recorded, and so never durable: writes through mmap(), stdio or io_uring, and
 * sync_file_range(), which promises nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "journal.h"
#include "support/interpose.h"

#define EXPORT __attribute__((visibility("default")))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static int journal = -1;

static ssize_t write_really(int fd, const void *bytes, size_t len)
{
    REAL(write);
    return real(fd, bytes, len);
}

static int open_really(int at, const char *path, int flags, mode_t mode)
{
    REAL(openat);
    return real(at, path, flags, mode);
}

__attribute__((constructor)) static void begin(void)
{
    const char *folder = getenv("KV_POWER_ROOT");
    const char *path = getenv("KV_POWER_JOURNAL");
    if (folder == NULL || path == NULL || realpath(folder, root) == NULL)
        return;
    journal = open_really(AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (journal < 0)
        abort();
}

/* ---- the journal; all under the lock ---- */

static void note(const struct power_record *record, const struct iovec *parts, int n)
{
    enum {
        MOST = 1 + IOV_MAX
    };
    struct iovec all[MOST] = {{.iov_base = (void *)record, .iov_len = sizeof(*record)}};
    size_t len = sizeof(*record) + record->len;
    if (n >= MOST)
        abort();
    if (n > 0)
        memcpy(all + 1, parts, (size_t)n * sizeof(*parts));
    char *text = malloc(len);
    size_t at = 0;
    if (text == NULL)
        abort();
    for (int i = 0; i <= n && at < len; i++) {
        size_t taken = all[i].iov_len < len - at ? all[i].iov_len : len - at;
        memcpy(text + at, all[i].iov_base, taken);
        at += taken;
    }
    if (at != len || write_really(journal, text, len) != (ssize_t)len)
        abort();
    free(text);
}

/* Another process may write to the journal as well: a child of this one, or its parent. */
static uint64_t journal_len(void)
{
    struct stat status;
    if (fstat(journal, &status) != 0)
        abort();
    return (uint64_t)status.st_size;
}

static struct iovec part(const char *name)
{
    return (struct iovec){.iov_base = (void *)name, .iov_len = strlen(name) + 1};
}

/* ---- paths below the folder ---- */

static bool is_below(const char *path)
{
    size_t len = strlen(root);
    return strncmp(path, root, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Whether the descriptor refers to a file or folder below the root; if so, *ret is set. */
static bool is_watched(int fd, struct stat *ret)
{
    char link[64], path[PATH_MAX];
    if (journal < 0)
        return false;
    int fault = errno;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    path[len < 0 ? 0 : len] = '\0';
    bool is_so = is_below(path) && fstat(fd, ret) == 0;
    errno = fault;
    return is_so;
}

/* A name in a folder. */
struct place {
    uint64_t folder;
    char name[PATH_MAX];
};

static bool locate(int at, const char *path, struct place *ret)
{
    char text[PATH_MAX], folder[PATH_MAX];
    struct stat status;
    if (journal < 0)
        return false;
    int fault = errno;
    int len = at == AT_FDCWD || path[0] == '/'
                  ? snprintf(text, sizeof(text), "%s", path)
                  : snprintf(text, sizeof(text), "/proc/self/fd/%d/%s", at, path);
    while (len > 1 && len < (int)sizeof(text) && text[len - 1] == '/')
        text[--len] = '\0';
    char *slash = strrchr(text, '/');
    snprintf(ret->name, sizeof(ret->name), "%s", slash == NULL ? text : slash + 1);
    if (slash != NULL)
        slash[slash == text] = '\0';
    bool is_so = len < (int)sizeof(text) && realpath(slash == NULL ? "." : text, folder) != NULL &&
                 is_below(folder) && stat(folder, &status) == 0;
    if (is_so)
        ret->folder = status.st_ino;
    errno = fault;
    return is_so;
}

/* The node at a path; 0 if there is none. */
static uint64_t node_at(int at, const char *path)
{
    struct stat status;
    int fault = errno;
    bool is_there = fstatat(at, path, &status, AT_SYMLINK_NOFOLLOW) == 0;
    errno = fault;
    return is_there ? status.st_ino : 0;
}

/* ---- names ---- */

static void note_name(enum power_kind kind, const struct place *place, uint64_t node,
                      bool is_folder)
{
    struct iovec name = part(place->name);
    struct power_record record = {.kind = kind,
                                  .is_folder = is_folder,
                                  .name_len = (uint16_t)name.iov_len,
                                  .node = node,
                                  .folder = place->folder,
                                  .len = name.iov_len};
    note(&record, &name, 1);
}

static void note_size(uint64_t node, uint64_t size)
{
    note(&(struct power_record){.kind = POWER_SIZE, .node = node, .at = size}, NULL, 0);
}

static int open_noted(int at, const char *path, int flags, mode_t mode)
{
    struct place place;
    if ((flags & (O_CREAT | O_TRUNC)) == 0 || !locate(at, path, &place))
        return open_really(at, path, flags, mode);
    pthread_mutex_lock(&lock);
    bool was_there = node_at(at, path) != 0;
    int fd = open_really(at, path, flags, mode);
    struct stat status;
    if (fd >= 0 && fstat(fd, &status) == 0) {
        if (!was_there)
            note_name(POWER_MAKE, &place, status.st_ino, false);
        else if ((flags & O_TRUNC) != 0)
            note_size(status.st_ino, 0);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

static mode_t mode_of(int flags, va_list more)
{
    return (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
}

EXPORT int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    return open_noted(AT_FDCWD, path, flags, mode);
}

EXPORT int openat(int at, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    return open_noted(at, path, flags, mode);
}

EXPORT int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir);
    struct place place;
    if (!locate(AT_FDCWD, path, &place))
        return real(path, mode);
    pthread_mutex_lock(&lock);
    int result = real(path, mode);
    if (result == 0)
        note_name(POWER_MAKE, &place, node_at(AT_FDCWD, path), true);
    pthread_mutex_unlock(&lock);
    return result;
}

static int drop(int at, const char *path, int flags)
{
    REAL(unlinkat);
    struct place place;
    if (!locate(at, path, &place))
        return real(at, path, flags);
    pthread_mutex_lock(&lock);
    int result = real(at, path, flags);
    if (result == 0)
        note_name(POWER_DROP, &place, 0, false);
    pthread_mutex_unlock(&lock);
    return result;
}

EXPORT int unlinkat(int at, const char *path, int flags)
{
    return drop(at, path, flags);
}

EXPORT int unlink(const char *path)
{
    return drop(AT_FDCWD, path, 0);
}

EXPORT int rmdir(const char *path)
{
    return drop(AT_FDCWD, path, AT_REMOVEDIR);
}

EXPORT int link(const char *from, const char *to)
{
    REAL(link);
    struct place place;
    if (!locate(AT_FDCWD, to, &place))
        return real(from, to);
    pthread_mutex_lock(&lock);
    int result = real(from, to);
    if (result == 0)
        note_name(POWER_LINK, &place, node_at(AT_FDCWD, to), false);
    pthread_mutex_unlock(&lock);
    return result;
}

static void note_move(const struct place *from, const struct place *to, uint64_t node)
{
    struct iovec names[2] = {part(from->name), part(to->name)};
    struct power_record record = {.kind = POWER_MOVE,
                                  .name_len = (uint16_t)names[0].iov_len,
                                  .node = node,
                                  .folder = from->folder,
                                  .new_folder = to->folder,
                                  .len = names[0].iov_len + names[1].iov_len};
    note(&record, names, 2);
}

EXPORT int renameat(int from_at, const char *from, int to_at, const char *to)
{
    REAL(renameat);
    struct place here, there;
    if (!locate(from_at, from, &here) || !locate(to_at, to, &there))
        return real(from_at, from, to_at, to);
    pthread_mutex_lock(&lock);
    int result = real(from_at, from, to_at, to);
    if (result == 0)
        note_move(&here, &there, node_at(to_at, to));
    pthread_mutex_unlock(&lock);
    return result;
}

EXPORT int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

/* ---- bytes ---- */

/* After a write of n bytes at `at`. */
static void note_write(int fd, uint64_t node, off_t at, const struct iovec *parts, int n_parts,
                       ssize_t n)
{
    struct power_record record = {.kind = POWER_WRITE,
                                  .is_durable = (fcntl(fd, F_GETFL) & O_DSYNC) != 0,
                                  .node = node,
                                  .at = (uint64_t)at,
                                  .len = (uint64_t)n};
    if (n > 0)
        note(&record, parts, n_parts);
}

/* At the descriptor's position or, if it appends, at the end. */
static ssize_t write_noted(int fd, const struct iovec *parts, int n_parts)
{
    REAL(writev);
    struct stat status;
    if (!is_watched(fd, &status))
        return real(fd, parts, n_parts);
    pthread_mutex_lock(&lock);
    ssize_t n = real(fd, parts, n_parts);
    if (n > 0)
        note_write(fd, status.st_ino, lseek(fd, 0, SEEK_CUR) - n, parts, n_parts, n);
    pthread_mutex_unlock(&lock);
    return n;
}

static ssize_t write_noted_at(int fd, const struct iovec *parts, int n_parts, off_t at)
{
    REAL(pwritev);
    struct stat status;
    if (!is_watched(fd, &status))
        return real(fd, parts, n_parts, at);
    pthread_mutex_lock(&lock);
    ssize_t n = real(fd, parts, n_parts, at);
    note_write(fd, status.st_ino, at, parts, n_parts, n);
    pthread_mutex_unlock(&lock);
    return n;
}

EXPORT ssize_t write(int fd, const void *bytes, size_t len)
{
    return write_noted(fd, &(struct iovec){(void *)bytes, len}, 1);
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int n_parts)
{
    return write_noted(fd, parts, n_parts);
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return write_noted_at(fd, &(struct iovec){(void *)bytes, len}, 1, at);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int n_parts, off_t at)
{
    return write_noted_at(fd, parts, n_parts, at);
}

/* Records the size that a call has given the file. */
static int after_sizing(int fd, int result)
{
    struct stat status;
    if (result == 0 && is_watched(fd, &status))
        note_size(status.st_ino, (uint64_t)status.st_size);
    pthread_mutex_unlock(&lock);
    return result;
}

EXPORT int ftruncate(int fd, off_t size)
{
    REAL(ftruncate);
    pthread_mutex_lock(&lock);
    return after_sizing(fd, real(fd, size));
}

EXPORT int fallocate(int fd, int mode, off_t at, off_t len)
{
    REAL(fallocate);
    if ((mode & ~FALLOC_FL_KEEP_SIZE) != 0) {
        errno = EOPNOTSUPP; /* hole punching is not recorded */
        return -1;
    }
    pthread_mutex_lock(&lock);
    return after_sizing(fd, real(fd, mode, at, len));
}

EXPORT int posix_fallocate(int fd, off_t at, off_t len)
{
    REAL(posix_fallocate);
    pthread_mutex_lock(&lock);
    return after_sizing(fd, real(fd, at, len));
}

/* ---- syncs ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int sync_noted(int fd, int (*real)(int))
{
    struct stat status;
    if (!is_watched(fd, &status))
        return real(fd);
    pthread_mutex_lock(&lock);
    struct power_record record = {
        .kind = POWER_SYNCING, .node = status.st_ino, .at = journal_len(), .time_ms = now_ms()};
    note(&record, NULL, 0);
    pthread_mutex_unlock(&lock);
    int result = real(fd);
    pthread_mutex_lock(&lock);
    record.kind = POWER_SYNC;
    record.time_ms = now_ms();
    if (result == 0)
        note(&record, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

EXPORT int fsync(int fd)
{
    REAL(fsync);
    return sync_noted(fd, real);
}

EXPORT int fdatasync(int fd)
{
    REAL(fdatasync);
    return sync_noted(fd, real);
}
