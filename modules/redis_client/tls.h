/*
 * TLS on a connected, non-blocking socket, at the client's end. For one thread.
 *
 * The library writes by write(): the program has to ignore SIGPIPE.
 */
#ifndef KV_REDIS_CLIENT_TLS_H
#define KV_REDIS_CLIENT_TLS_H

#include <kvserver/types.h>

#include <sys/types.h>

/* Texts are borrowed, and end with a zero. */
struct tls_settings {
    struct kv_slice ca; /* a file of certificates to trust; empty: no TLS */
    struct kv_slice cert, key;
    struct kv_slice name; /* that the peer's certificate has to be for, or an address */
};

struct tls;

/* Reads the files. fd: stays the caller's. Owns: the caller. Returns: NULL and *reterr. */
struct tls *tls_create(const struct tls_settings *settings, int fd, struct kv_error *reterr);

/* Accepts NULL. Says goodbye where that can be done without waiting. */
void tls_destroy(struct tls *tls);

/* Goes on with the handshake. Returns: 1 when it is done; 0: to be called again once the socket is
 * ready for *ret_events, of poll(); -1 and *reterr. */
int tls_shake(struct tls *tls, short *ret_events, struct kv_error *reterr);

/* As send() and recv() without flags: -1 and errno, EAGAIN where it would have to wait. */
ssize_t tls_send(struct tls *tls, const char *bytes, size_t n);
ssize_t tls_receive(struct tls *tls, char *bytes, size_t n);

/* Whether something was received that the socket does not show any more. */
bool tls_has_more(const struct tls *tls);

#endif
