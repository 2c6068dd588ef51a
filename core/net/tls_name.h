/*
 * The name in a peer's certificate, and how long it is valid.
 */
#ifndef KV_NET_TLS_NAME_H
#define KV_NET_TLS_NAME_H

#include <stdint.h>

struct ssl_st;

/* The common name of the certificate's subject; without one, the first DNS name, e-mail address or
 * URI of its alternative names. Owns: the caller, by free(). Returns: NULL if the peer has sent no
 * certificate, or it has no such name that is plain text. */
char *kv_tls_name_of(struct ssl_st *ssl);

/* When the peer's certificate has expired: seconds since 1970. Returns: 0 if it has sent none. */
int64_t kv_tls_end_of(struct ssl_st *ssl);

#endif
