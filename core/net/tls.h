/*
 * What a TLS port offers: its certificates, whom it lets in, and which versions and ciphers it
 * speaks. The files are read when it is made, and again when they have changed: connections that
 * are open keep what they began with.
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
    const char *cert; /* the certificate, and then those between it and a root */
    const char *key;
};

enum kv_tls_client_auth {
    KV_TLS_CLIENTS_ANONYMOUS, /* no certificate is asked for */
    KV_TLS_CLIENTS_OPTIONAL,
    KV_TLS_CLIENTS_REQUIRED,
};

/* Lent to what is made of it. */
struct kv_tls_config {
    const struct kv_tls_certificate *certificates; /* the first also for names of none */
    size_t n_certificates;
    const char *client_ca; /* PEM: who may have signed clients' certificates; NULL: nobody */
    enum kv_tls_client_auth client_auth;
};

enum kv_tls_file {
    KV_TLS_CERT,
    KV_TLS_KEY,
    KV_TLS_CLIENT_CA,
};

/* Why something cannot be made. */
struct kv_tls_fault {
    enum kv_tls_file file;
    size_t certificate; /* which of them; of CERT and KEY */
    struct kv_error error;
};

/* Reads the files. now_ms: of any clock that goes on. Returns: NULL and *ret_fault. */
struct kv_tls *kv_tls_create(const struct kv_tls_config *config, int64_t now_ms,
                             struct kv_tls_fault *ret_fault);

/* Accepts NULL. */
void kv_tls_destroy(struct kv_tls *tls);

/* Whether the files are not as they were when they were last read, or it is time for new keys of
 * session tickets. It looks at the files' times. One thread at a time, also the next. */
bool kv_tls_is_due(const struct kv_tls *tls, int64_t now_ms);

/* Reads the files again, for handshakes to come. Returns: -1 and *ret_fault; then all is as it was,
 * until the files change again. */
int kv_tls_reload(struct kv_tls *tls, int64_t now_ms, struct kv_tls_fault *ret_fault);

/* When the first of the certificates ends, in seconds of 1970; *ret_which: which of them. */
int64_t kv_tls_ends_at(const struct kv_tls *tls, size_t *ret_which);

/* What a handshake begins with. Owns: the caller, by SSL_CTX_free(). */
struct ssl_ctx_st *kv_tls_fetch(struct kv_tls *tls);

#endif
