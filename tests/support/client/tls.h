/*
 * TLS for streams of tests, and certificates that are made as they are needed.
 *
 * Errors: what cannot be fails the test.
 */
#ifndef KV_TEST_TLS_H
#define KV_TEST_TLS_H

#include "support/client/stream.h"

struct kv_test_tls;

/* How a stream shakes hands. All zero: any version, no name, no certificate, and the server's is
 * not looked at. */
struct kv_test_tls_options {
    const char *ca;        /* PEM: who must have signed the server's certificate; NULL: nobody */
    const char *name;      /* of the server, asked for (SNI) and looked for; NULL: none */
    const char *identity;  /* PEM: the client's certificate and key; NULL: none */
    const char *protocols; /* offered by ALPN, as on the wire; NULL: none */
    const char *ciphers;   /* of TLS 1.2 */
    int version;           /* the only one, as OpenSSL numbers them; 0: any */
    struct ssl_session_st *session; /* to be resumed */
};

/* Shakes hands over an open stream. Returns: false where the handshake failed; with TLS 1.3 a
 * server may refuse a client's certificate only later. */
bool kv_test_tls_connect(struct kv_test_stream *stream, const struct kv_test_tls_options *options);

/* What came of it. Valid as long as the stream. */
const char *kv_test_tls_version(const struct kv_test_stream *stream);
const char *kv_test_tls_protocol(const struct kv_test_stream *stream); /* "" where there is none */
/* The common name of the server's certificate; "" where there is none. */
const char *kv_test_tls_server(const struct kv_test_stream *stream);
bool kv_test_tls_is_resumed(const struct kv_test_stream *stream);
/* Whether the server has said that its end is no attack. */
bool kv_test_tls_has_closed(const struct kv_test_stream *stream);
/* Owns: the caller, by SSL_SESSION_free(). */
struct ssl_session_st *kv_test_tls_session(const struct kv_test_stream *stream);
/* Asks the server for new keys. */
void kv_test_tls_update_keys(struct kv_test_stream *stream);

/* For streams: as recv() and send() without waiting. */
ssize_t kv_test_tls_receive(struct kv_test_tls *tls, struct kv_buffer *in);
ssize_t kv_test_tls_send(struct kv_test_tls *tls, const char *bytes, size_t len);
/* Accepts NULL. */
void kv_test_tls_free(struct kv_test_tls *tls);

/* Whether the tests are to speak TLS with servers of the fixture (KV_TEST_TLS). */
bool kv_test_tls_is_wanted(void);

/* A file with a certificate and its key, which goes with the process. */
const char *kv_test_tls_file(void);

/* Writes a new certificate for `name`, also as the DNS name of the subject, and its key, into one
 * PEM file, readable by the owner alone. issuer: such a file, whose owner signs it; NULL: it signs
 * itself, and may sign others. days: how long it is valid; below zero: it has expired. */
void kv_test_certificate_write(const char *path, const char *name, const char *issuer, int days);

#endif
