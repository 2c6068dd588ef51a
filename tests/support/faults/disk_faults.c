/*
 * A disk that fails: preloaded into the server, it makes calls about the files below a folder fail,
 * for as long as there is a file that says so beside the folder.
 *
 * KV_DISK_ROOT=<folder, resolved>
 *   <folder>.full    writes, and whatever makes files or makes them longer: ENOSPC
 *   <folder>.broken  syncs, and writes that sync: EIO
 *   <folder>.unsure  writes that sync are done, and say EIO
 *   <folder>.stuck   syncs do not return until it is gone
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "support/interpose.h"

#define EXPORT __attribute__((visibility("default")))

enum {
    STEP_US = 1000 /* between looks whether a disk is still stuck */
};

static char root[PATH_MAX];

__attribute__((constructor)) static void begin(void)
{
    const char *folder = getenv("KV_DISK_ROOT");
    if (folder != NULL)
        snprintf(root, sizeof(root), "%s", folder);
}

/* Whether the disk is in that state. */
static bool is(const char *state)
{
    char path[PATH_MAX + 16];
    int fault = errno;
    snprintf(path, sizeof(path), "%s.%s", root, state);
    bool is_so = root[0] != '\0' && access(path, F_OK) == 0;
    errno = fault;
    return is_so;
}

static bool is_path_below(const char *path)
{
    size_t len = strlen(root);
    return len != 0 && strncmp(path, root, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static bool is_below(int fd)
{
    char link[64], path[PATH_MAX];
    int fault = errno;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    path[len < 0 ? 0 : len] = '\0';
    errno = fault;
    return is_path_below(path);
}

static bool fails_with(int fault)
{
    errno = fault;
    return true;
}

static bool syncs_by_itself(int fd)
{
    return (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
}

static bool fails_to_write(int fd)
{
    if (!is_below(fd))
        return false;
    if (is("full"))
        return fails_with(ENOSPC);
    return syncs_by_itself(fd) && is("broken") && fails_with(EIO);
}

/* After the write was done. */
static bool fails_nevertheless(int fd)
{
    return is_below(fd) && syncs_by_itself(fd) && is("unsure") && fails_with(EIO);
}

static bool fails_to_sync(int fd)
{
    if (!is_below(fd))
        return false;
    while (is("stuck"))
        usleep(STEP_US);
    return is("broken") && fails_with(EIO);
}

EXPORT int open(const char *path, int flags, ...)
{
    REAL(open);
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    if ((flags & O_CREAT) != 0 && is_path_below(path) && access(path, F_OK) != 0 && is("full")) {
        errno = ENOSPC;
        return -1;
    }
    return real(path, flags, mode);
}

EXPORT ssize_t write(int fd, const void *bytes, size_t len)
{
    REAL(write);
    return fails_to_write(fd) ? -1 : real(fd, bytes, len);
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int n)
{
    REAL(writev);
    return fails_to_write(fd) ? -1 : real(fd, parts, n);
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    REAL(pwrite);
    if (fails_to_write(fd))
        return -1;
    ssize_t n = real(fd, bytes, len, at);
    return fails_nevertheless(fd) ? -1 : n;
}

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t at)
{
    REAL(pwritev);
    return fails_to_write(fd) ? -1 : real(fd, parts, n, at);
}

EXPORT int ftruncate(int fd, off_t size)
{
    REAL(ftruncate);
    struct stat status;
    bool is_longer = fstat(fd, &status) == 0 && size > status.st_size;
    return is_longer && fails_to_write(fd) ? -1 : real(fd, size);
}

EXPORT int fallocate(int fd, int mode, off_t at, off_t len)
{
    REAL(fallocate);
    return fails_to_write(fd) ? -1 : real(fd, mode, at, len);
}

EXPORT int posix_fallocate(int fd, off_t at, off_t len)
{
    REAL(posix_fallocate);
    return fails_to_write(fd) ? errno : real(fd, at, len);
}

EXPORT int fsync(int fd)
{
    REAL(fsync);
    return fails_to_sync(fd) ? -1 : real(fd);
}

EXPORT int fdatasync(int fd)
{
    REAL(fdatasync);
    return fails_to_sync(fd) ? -1 : real(fd);
}
