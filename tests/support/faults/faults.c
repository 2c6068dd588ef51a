/*
 * A network at its worst: preloaded into the server, it randomly makes reads and writes of sockets
 * short, or makes them return EAGAIN or EINTR, and makes accept() fail in all its ways. The data
 * sent and received is unchanged.
 *
 * KV_FAULTS=<n>: about one in n calls is disturbed; 0 or unset: none.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum {
    SHORT = 7,           /* bytes of a short read or write, at most */
    ACCEPTS_A_FAULT = 16 /* times KV_FAULTS */
};

static _Atomic uint64_t n_calls;

static unsigned rate(void)
{
    static _Atomic int known = -1;
    int now = atomic_load(&known);
    if (now < 0) {
        const char *text = getenv("KV_FAULTS");
        now = text == NULL ? 0 : atoi(text);
        atomic_store(&known, now);
    }
    return (unsigned)now;
}

/* A pseudo-random number: splitmix64 of a counter. */
static uint64_t draw(void)
{
    uint64_t z = atomic_fetch_add(&n_calls, 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static bool is_socket(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

/* Whether to disturb the call. If *len is 0 afterwards, the call fails with errno set. */
static bool disturb(int fd, size_t *len)
{
    if (rate() == 0 || *len == 0 || !is_socket(fd))
        return false;
    uint64_t drawn = draw();
    if (drawn % rate() != 0)
        return false;
    drawn >> 32 & 1 ? (errno = EAGAIN) : (errno = EINTR);
    size_t shortened = (drawn >> 40) % (SHORT + 1);
    *len = shortened < *len ? shortened : *len;
    if (*len == 0 && (drawn >> 33 & 3) != 0)
        errno = EAGAIN;
    return true;
}

static void *next(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL)
        abort();
    return found;
}

EXPORT ssize_t read(int fd, void *bytes, size_t len)
{
    static ssize_t (*real)(int, void *, size_t);
    if (real == NULL)
        *(void **)&real = next("read");
    return disturb(fd, &len) && len == 0 ? -1 : real(fd, bytes, len);
}

EXPORT ssize_t recv(int fd, void *bytes, size_t len, int flags)
{
    static ssize_t (*real)(int, void *, size_t, int);
    if (real == NULL)
        *(void **)&real = next("recv");
    return disturb(fd, &len) && len == 0 ? -1 : real(fd, bytes, len, flags);
}

EXPORT ssize_t write(int fd, const void *bytes, size_t len)
{
    static ssize_t (*real)(int, const void *, size_t);
    if (real == NULL)
        *(void **)&real = next("write");
    return disturb(fd, &len) && len == 0 ? -1 : real(fd, bytes, len);
}

EXPORT ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
    static ssize_t (*real)(int, const void *, size_t, int);
    if (real == NULL)
        *(void **)&real = next("send");
    return disturb(fd, &len) && len == 0 ? -1 : real(fd, bytes, len, flags);
}

/* A short write sends a part of its first non-empty piece. */
EXPORT ssize_t writev(int fd, const struct iovec *pieces, int n)
{
    static ssize_t (*real)(int, const struct iovec *, int);
    if (real == NULL)
        *(void **)&real = next("writev");
    int first = 0;
    while (first < n && pieces[first].iov_len == 0)
        first++;
    if (first == n)
        return real(fd, pieces, n);
    size_t len = pieces[first].iov_len;
    if (!disturb(fd, &len))
        return real(fd, pieces, n);
    struct iovec piece = {pieces[first].iov_base, len};
    return len == 0 ? -1 : real(fd, &piece, 1);
}

EXPORT int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    /* If a resource runs out, the peer is answered with 503, as descriptors_test.c shows. */
    static const int failures[] = {ECONNABORTED, EINTR, EPROTO, EAGAIN};
    static int (*real)(int, struct sockaddr *, socklen_t *, int);
    if (real == NULL)
        *(void **)&real = next("accept4");
    if (rate() != 0) {
        uint64_t drawn = draw();
        if (drawn % (rate() * ACCEPTS_A_FAULT) == 0) {
            errno = failures[(drawn >> 32) % (sizeof(failures) / sizeof(failures[0]))];
            return -1;
        }
    }
    return real(fd, address, len, flags);
}
