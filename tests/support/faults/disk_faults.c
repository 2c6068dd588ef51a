/*
 * A failing disk: preloaded into the server, it makes calls about the files below a folder fail
 * while a file beside the folder says so.
 *
 * KV_DISK_ROOT=<folder, resolved>
 *
 * - <folder>.full: the disk is full. Creating or extending a file fails with ENOSPC; overwriting
 *   works. The file contains the number of bytes freed by deleting and shortening files, which can
 *   be used again.
 * - <folder>.broken: syncs and synchronous writes fail with EIO.
 * - <folder>.unsure: synchronous writes are executed and fail with EIO.
 * - <folder>.stuck: syncs do not return until the file is gone.
 * - <folder>.unlisted: syncs of folders fail with EIO, except for the first few. The file has one
 *   byte for each of these.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "support/interpose.h"

#define EXPORT __attribute__((visibility("default")))

enum {
    STEP_US = 1000, /* between checks whether a disk is still stuck */
    NAME = 256      /* bytes that a new file takes in its folder */
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

/* ---- the space of a full disk ---- */

static int open_really(const char *path, int flags, mode_t mode)
{
    REAL(open);
    return real(path, flags, mode);
}

/* Takes bytes from the free space, or returns some. Returns: whether there were enough. */
static bool take_room(int64_t bytes)
{
    char path[PATH_MAX + 16];
    int64_t room = 0;
    int fault = errno;
    snprintf(path, sizeof(path), "%s.full", root);
    int file = open_really(path, O_RDWR | O_CLOEXEC, 0);
    bool is_enough = true;
    if (file >= 0 && flock(file, LOCK_EX) == 0) {
        if (pread(file, &room, sizeof(room), 0) != sizeof(room))
            room = 0;
        is_enough = bytes <= room;
        room -= is_enough ? bytes : 0;
        syscall(SYS_pwrite64, file, &room, sizeof(room), 0);
    }
    if (file >= 0)
        close(file);
    errno = fault;
    return is_enough;
}

static int64_t size_of(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 ? status.st_size : 0;
}

/* Whether there is not enough space to extend the file to that size. */
static bool is_too_long(int fd, int64_t end)
{
    if (!is("full"))
        return false;
    int64_t more = end - size_of(fd);
    return more > 0 && !take_room(more) && fails_with(ENOSPC);
}

/* An open file counts as gone once it is deleted. */
static int64_t room_of(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && status.st_nlink == 1 ? status.st_size : 0;
}

static bool fails_to_write(int fd, int64_t end)
{
    if (!is_below(fd))
        return false;
    return is_too_long(fd, end) || (syncs_by_itself(fd) && is("broken") && fails_with(EIO));
}

static int64_t place_of(int fd)
{
    return (fcntl(fd, F_GETFL) & O_APPEND) != 0 ? size_of(fd) : lseek(fd, 0, SEEK_CUR);
}

static int64_t length_of(const struct iovec *parts, int n)
{
    int64_t len = 0;
    for (int i = 0; i < n; i++)
        len += (int64_t)parts[i].iov_len;
    return len;
}

/* Called after the write. */
static bool fails_nevertheless(int fd)
{
    return is_below(fd) && syncs_by_itself(fd) && is("unsure") && fails_with(EIO);
}

/* Returns: whether it is one of the first syncs of folders. */
static bool takes_turn(void)
{
    char path[PATH_MAX + 16];
    struct stat status;
    snprintf(path, sizeof(path), "%s.unlisted", root);
    return stat(path, &status) == 0 && status.st_size != 0 &&
           syscall(SYS_truncate, path, status.st_size - 1) == 0;
}

static bool is_folder(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool fails_to_sync(int fd)
{
    if (!is_below(fd))
        return false;
    while (is("stuck"))
        usleep(STEP_US);
    bool is_unlisted = is("unlisted") && is_folder(fd) && !takes_turn();
    return (is("broken") || is_unlisted) && fails_with(EIO);
}

EXPORT int open(const char *path, int flags, ...)
{
    REAL(open);
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    bool is_ours = is_path_below(path) && is("full");
    if (is_ours && (flags & O_CREAT) != 0 && access(path, F_OK) != 0 && !take_room(NAME)) {
        errno = ENOSPC;
        return -1;
    }
    int64_t room = is_ours && (flags & O_TRUNC) != 0 ? room_of(path) : 0;
    int fd = real(path, flags, mode);
    if (fd >= 0 && room != 0)
        take_room(-room);
    return fd;
}

EXPORT ssize_t write(int fd, const void *bytes, size_t len)
{
    REAL(write);
    return fails_to_write(fd, place_of(fd) + (int64_t)len) ? -1 : real(fd, bytes, len);
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int n)
{
    REAL(writev);
    return fails_to_write(fd, place_of(fd) + length_of(parts, n)) ? -1 : real(fd, parts, n);
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    REAL(pwrite);
    if (fails_to_write(fd, at + (int64_t)len))
        return -1;
    ssize_t n = real(fd, bytes, len, at);
    return fails_nevertheless(fd) ? -1 : n;
}

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t at)
{
    REAL(pwritev);
    return fails_to_write(fd, at + length_of(parts, n)) ? -1 : real(fd, parts, n, at);
}

EXPORT int ftruncate(int fd, off_t size)
{
    REAL(ftruncate);
    int64_t given_back = size_of(fd) - size;
    if (fails_to_write(fd, size))
        return -1;
    int result = real(fd, size);
    if (result == 0 && given_back > 0 && is_below(fd) && is("full"))
        take_room(-given_back);
    return result;
}

/* Preallocation beyond a file's end is ignored, as it would be hard to count. */
EXPORT int fallocate(int fd, int mode, off_t at, off_t len)
{
    REAL(fallocate);
    if (is_below(fd) && is("full") && at + len > size_of(fd)) {
        errno = ENOSPC;
        return -1;
    }
    return real(fd, mode, at, len);
}

EXPORT int posix_fallocate(int fd, off_t at, off_t len)
{
    REAL(posix_fallocate);
    return fails_to_write(fd, at + len) ? errno : real(fd, at, len);
}

EXPORT int unlink(const char *path)
{
    REAL(unlink);
    int64_t room = is_path_below(path) && is("full") ? room_of(path) : 0;
    int result = real(path);
    if (result == 0 && room != 0)
        take_room(-room);
    return result;
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
