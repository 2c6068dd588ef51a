/*
 * The name in a peer's certificate.
 */
#ifndef KV_NET_TLS_NAME_H
#define KV_NET_TLS_NAME_H

struct ssl_st;

/* The common name of the certificate's subject; without one, the first DNS name, e-mail address or
 * URI of its alternative names. Owns: the caller, by free(). Returns: NULL if the peer has sent no
 * certificate, or it has no such name that is plain text. */
char *kv_tls_name_of(struct ssl_st *ssl);

#endif
