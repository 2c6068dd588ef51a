/*
 * The remaining part of a text in pieces.
 */
#ifndef KV_NET_IOVECS_H
#define KV_NET_IOVECS_H

#include <stddef.h>
#include <sys/uio.h>

static inline size_t kv_iovecs_len(const struct iovec *iovecs, size_t n)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += iovecs[i].iov_len;
    return len;
}

/* Takes so many bytes off the front, and the pieces that are empty then. */
static inline void kv_iovecs_skip(struct iovec **iovecs, size_t *n, size_t len)
{
    while (*n != 0 && len >= (*iovecs)->iov_len) {
        len -= (*iovecs)->iov_len;
        ++*iovecs;
        --*n;
    }
    if (*n == 0)
        return;
    (*iovecs)->iov_base = (char *)(*iovecs)->iov_base + len;
    (*iovecs)->iov_len -= len;
}

#endif
