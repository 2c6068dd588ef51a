/*
 * TLS on a connected, non-blocking socket, at the client's end. For one thread.
 *
 * The library uses write(): the program must ignore SIGPIPE.
 */
#ifndef KV_REDIS_CLIENT_TLS_H
#define KV_REDIS_CLIENT_TLS_H

#include <kvserver/types.h>

#include <sys/types.h>

/* Texts are borrowed, and end with a zero. */
struct tls_settings {
    struct kv_slice ca; /* a file of certificates to trust; empty: no TLS */
    struct kv_slice cert, key;
    struct kv_slice name; /* the name or address that the peer's certificate must be valid for */
};

struct tls;

/* Reads the files. fd: remains owned by the caller. Owns: the caller. Returns: NULL and *reterr. */
struct tls *tls_create(const struct tls_settings *settings, int fd, struct kv_error *reterr);

/* Accepts NULL. Sends close_notify if that needs no waiting. */
void tls_destroy(struct tls *tls);

/* Continues the handshake. Returns: 1 when it is done; 0: to be called again once the socket is
 * ready for *ret_events (of poll()); -1 and *reterr. */
int tls_shake(struct tls *tls, short *ret_events, struct kv_error *reterr);

/* As send() and recv() without flags. Return: -1 and errno, EAGAIN if they would have to wait. */
ssize_t tls_send(struct tls *tls, const char *bytes, size_t n);
ssize_t tls_receive(struct tls *tls, char *bytes, size_t n);

/* Whether decrypted bytes are buffered, for which poll() does not report the socket as readable. */
bool tls_has_more(const struct tls *tls);

#endif
