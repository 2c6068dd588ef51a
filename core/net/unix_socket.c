#include "net/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    BACKLOG = 4096,
    LOCK_ATTEMPTS = 100,
    LOCK_PAUSE_US = 10000,
};

static int open_parent_folder(const char *path)
{
    char folder[sizeof((struct sockaddr_un){0}.sun_path)] = ".";
    const char *slash = strrchr(path, '/');
    if (slash != NULL) {
        size_t len = slash == path ? 1 : (size_t)(slash - path);
        memcpy(folder, path, len);
        folder[len] = '\0';
    }
    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Orders processes that check and replace sockets in the same folder. Any process that may read the
 * folder can hold the lock, so the wait is short, and the work is done even without the lock.
 * Returns: a descriptor for unlock_folder(), or -1. */
static int lock_folder(const char *path)
{
    int fd = open_parent_folder(path);
    for (int i = 0; fd >= 0 && i < LOCK_ATTEMPTS; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
            break;
        usleep(LOCK_PAUSE_US);
    }
    return fd;
}

static void unlock_folder(int fd)
{
    if (fd >= 0)
        close(fd);
}

static int open_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Whether no process listens there. A full queue (EAGAIN) means that one does. */
static bool is_abandoned(const struct sockaddr_un *address)
{
    int fd = open_socket();
    if (fd < 0)
        return false;
    bool is_refused = connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
                      errno == ECONNREFUSED;
    close(fd);
    return is_refused;
}

/* Makes room for a socket. Returns: NULL, or the obstacle. */
static const char *clear_path(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) != 0)
        return errno == ENOENT ? NULL : strerror(errno);
    if (!S_ISSOCK(status.st_mode))
        return "the path exists and is not a socket";
    if (!is_abandoned(address))
        return "another process listens there";
    return unlink(address->sun_path) == 0 ? NULL : strerror(errno);
}

/* Nobody may connect before the mode is set: until then the file has no permissions. */
static int bind_and_listen(int fd, const struct sockaddr_un *address, mode_t mode)
{
    if (fchmod(fd, 0) != 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
        return -1;
    if (chmod(address->sun_path, mode) == 0 && listen(fd, BACKLOG) == 0)
        return 0;
    int error = errno;
    unlink(address->sun_path);
    errno = error;
    return -1;
}

static struct kv_unix_socket *remember(const char *path)
{
    struct stat status = {0};
    size_t size = strlen(path) + 1;
    struct kv_unix_socket *unix_socket = kv_alloc(sizeof(*unix_socket) + size);
    lstat(path, &status);
    kv_list_init(&unix_socket->link);
    unix_socket->device = status.st_dev;
    unix_socket->inode = status.st_ino;
    memcpy(unix_socket->path, path, size);
    return unix_socket;
}

static int listen_at(const struct sockaddr_un *address, mode_t mode, struct kv_error *reterr)
{
    const char *obstacle = clear_path(address);
    if (obstacle != NULL)
        return kv_error_set(reterr, "cannot listen on %s: %s", address->sun_path, obstacle);
    int fd = open_socket();
    if (fd >= 0 && bind_and_listen(fd, address, mode) == 0)
        return fd;
    kv_error_set(reterr, "cannot listen on %s: %s", address->sun_path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

int kv_unix_socket_listen(const char *path, mode_t mode, struct kv_unix_socket **ret_socket,
                          struct kv_error *reterr)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof(address.sun_path))
        return kv_error_set(reterr, "cannot listen on %s: the path has more than %zu bytes", path,
                            sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, len); /* the rest is zero */
    int folder = lock_folder(path);
    int fd = listen_at(&address, mode, reterr);
    if (fd >= 0)
        *ret_socket = remember(path);
    unlock_folder(folder);
    return fd;
}

void kv_unix_socket_remove(struct kv_unix_socket *unix_socket)
{
    struct stat status;
    int folder = lock_folder(unix_socket->path);
    bool is_ours = lstat(unix_socket->path, &status) == 0 && status.st_dev == unix_socket->device &&
                   status.st_ino == unix_socket->inode;
    if (is_ours)
        unlink(unix_socket->path);
    unlock_folder(folder);
    kv_list_remove(&unix_socket->link);
    free(unix_socket);
}
