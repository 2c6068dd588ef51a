#include "net/inherited.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    FIRST = 3 /* the first descriptor of the protocol */
};

static long number_of(const char *name)
{
    const char *text = getenv(name);
    return text == NULL ? 0 : strtol(text, NULL, 10);
}

static int option_of(int fd, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

static bool prepare(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && option_of(fd, SO_TYPE) == SOCK_STREAM &&
           option_of(fd, SO_ACCEPTCONN) == 1 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
           fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

int kv_inherited_find(struct kv_inherited *inherited, struct kv_error *reterr)
{
    long n = number_of("LISTEN_PID") == getpid() ? number_of("LISTEN_FDS") : 0;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    *inherited = (struct kv_inherited){0};
    if (n < 0 || n > KV_INHERITED_MOST)
        return kv_error_set(reterr, "LISTEN_FDS is %ld, and at most %d are taken", n,
                            KV_INHERITED_MOST);
    for (long i = 0; i < n; i++) {
        int fd = FIRST + (int)i;
        if (!prepare(fd))
            return kv_error_set(reterr,
                                "descriptor %d, which the service manager has handed down, is no "
                                "socket that listens for streams",
                                fd);
        inherited->fds[inherited->n++] = fd;
    }
    return 0;
}

/* ---- addresses ---- */

static bool is_same_v4(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
    return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
}

static bool is_same_v6(const struct sockaddr_in6 *a, const struct sockaddr_in6 *b)
{
    return a->sin6_port == b->sin6_port &&
           memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr)) == 0;
}

static bool is_same(const struct sockaddr *a, const struct sockaddr *b)
{
    if (a->sa_family != b->sa_family)
        return false;
    switch (a->sa_family) {
    case AF_INET:
        return is_same_v4((const void *)a, (const void *)b);
    case AF_INET6:
        return is_same_v6((const void *)a, (const void *)b);
    case AF_UNIX:
        return strcmp(((const struct sockaddr_un *)(const void *)a)->sun_path,
                      ((const struct sockaddr_un *)(const void *)b)->sun_path) == 0;
    default:
        return false;
    }
}

static struct sockaddr_storage address_of(int fd)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(address);
    getsockname(fd, (struct sockaddr *)&address, &len);
    return address;
}

int kv_inherited_take(struct kv_inherited *inherited, const struct sockaddr *address)
{
    for (uint32_t i = 0; inherited != NULL && i < inherited->n; i++) {
        int fd = inherited->fds[i];
        if (fd < 0)
            continue;
        struct sockaddr_storage at = address_of(fd);
        if (is_same((const struct sockaddr *)&at, address)) {
            inherited->fds[i] = -1;
            return fd;
        }
    }
    return -1;
}

int kv_inherited_take_unix(struct kv_inherited *inherited, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    return kv_inherited_take(inherited, (const struct sockaddr *)&address);
}

/* ---- unused sockets ---- */

static void print(int fd, char *ret, size_t size)
{
    struct sockaddr_storage at = address_of(fd);
    char host[INET6_ADDRSTRLEN] = "";
    const struct sockaddr_in *v4 = (const void *)&at;
    const struct sockaddr_in6 *v6 = (const void *)&at;
    if (at.ss_family == AF_UNIX)
        snprintf(ret, size, "%s", ((const struct sockaddr_un *)(const void *)&at)->sun_path);
    else if (at.ss_family == AF_INET6)
        snprintf(ret, size, "%s port %u", inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host)),
                 ntohs(v6->sin6_port));
    else
        snprintf(ret, size, "%s port %u", inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host)),
                 ntohs(v4->sin_port));
}

int kv_inherited_close(struct kv_inherited *inherited, struct kv_error *reterr)
{
    int result = 0;
    for (uint32_t i = 0; i < inherited->n; i++) {
        char text[128];
        if (inherited->fds[i] < 0)
            continue;
        print(inherited->fds[i], text, sizeof(text));
        close(inherited->fds[i]);
        inherited->fds[i] = -1;
        result = kv_error_set(reterr,
                              "the service manager has handed down a socket at %s, and `listen` "
                              "does not name that",
                              text);
    }
    return result;
}
