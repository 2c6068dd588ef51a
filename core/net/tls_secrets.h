/*
 * The traffic secrets of a TLS 1.3 connection, which OpenSSL reveals during the handshake, so that
 * records can be protected without it afterwards.
 *
 * Threads: any, one at a time for each connection.
 */
#ifndef KV_NET_TLS_SECRETS_H
#define KV_NET_TLS_SECRETS_H

struct ssl_st;
struct ssl_ctx_st;
struct kv_tls_records;
struct kv_tls_secrets;

/* For every context with which a watched handshake may continue. */
void kv_tls_secrets_prepare(struct ssl_ctx_st *context);

/* Watches a handshake that has not begun, of a server. Owns: the caller, by
 * kv_tls_secrets_destroy(). */
struct kv_tls_secrets *kv_tls_secrets_watch(struct ssl_st *ssl);

/* Erases them, and watches no longer. ssl: not freed yet. Accepts NULL for the secrets. */
void kv_tls_secrets_destroy(struct kv_tls_secrets *secrets, struct ssl_st *ssl);

/* When the handshake is complete: the protection of the records that follow. Owns: the caller, by
 * kv_tls_records_destroy(). Returns: NULL if `ssl` has to continue: it has another version or
 * cipher suite, shorter records than usual, or input. */
struct kv_tls_records *kv_tls_secrets_take_over(const struct kv_tls_secrets *secrets,
                                                const struct ssl_st *ssl);

#endif
