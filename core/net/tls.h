/*
 * The TLS settings of a port: its certificates, the clients that it accepts, and its versions and
 * ciphers. The files are read at the start, and again when they have changed: open connections keep
 * their settings.
 *
 * Threads: any; the lock is held for a few instructions, when a handshake begins and when new files
 * take effect.
 */
#ifndef KV_NET_TLS_H
#define KV_NET_TLS_H

#include <stdint.h>

#include <kvserver/types.h>

struct ssl_ctx_st;
struct kv_tls;

/* PEM files. */
struct kv_tls_certificate {
    const char *cert; /* the certificate, followed by the intermediate ones */
    const char *key;
};

enum kv_tls_client_auth {
    KV_TLS_CLIENTS_ANONYMOUS, /* no certificate is requested */
    KV_TLS_CLIENTS_OPTIONAL,
    KV_TLS_CLIENTS_REQUIRED,
};

/* Lent to the struct kv_tls that is created from it. */
struct kv_tls_config {
    const struct kv_tls_certificate *certificates; /* the first also for unknown names */
    size_t n_certificates;
    const char *client_ca; /* PEM: the authorities that sign clients' certificates; NULL: none */
    enum kv_tls_client_auth client_auth;
};

enum kv_tls_file {
    KV_TLS_CERT,
    KV_TLS_KEY,
    KV_TLS_CLIENT_CA,
};

/* The reason why creating or reloading has failed. */
struct kv_tls_fault {
    enum kv_tls_file file;
    size_t certificate; /* for CERT and KEY: its index */
    struct kv_error error;
};

/* Reads the files. now_ms: of any monotonic clock. Returns: NULL and *ret_fault. */
struct kv_tls *kv_tls_create(const struct kv_tls_config *config, int64_t now_ms,
                             struct kv_tls_fault *ret_fault);

/* Accepts NULL. */
void kv_tls_destroy(struct kv_tls *tls);

/* Whether the files have changed since they were read, or new keys for session tickets are due.
 * Checks the files' times. Threads: one at a time, also for kv_tls_reload(). */
bool kv_tls_is_due(const struct kv_tls *tls, int64_t now_ms);

/* Reads the files again, for later handshakes. Returns: -1 and *ret_fault; then nothing has
 * changed, until the files change again. */
int kv_tls_reload(struct kv_tls *tls, int64_t now_ms, struct kv_tls_fault *ret_fault);

/* The earliest expiry of the certificates, in seconds since 1970. Threads: any. */
int64_t kv_tls_ends_at(const struct kv_tls *tls);

/* The index of the certificate that expires first. Threads: as for kv_tls_reload(). */
size_t kv_tls_ends_first(const struct kv_tls *tls);

/* The context for a handshake. Owns: the caller, by SSL_CTX_free(). */
struct ssl_ctx_st *kv_tls_fetch(struct kv_tls *tls);

#endif
