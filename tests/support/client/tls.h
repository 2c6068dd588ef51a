/*
 * TLS for the streams of tests, and certificates made on demand. A server that sends a byte outside
 * of an encrypted record (records.h) fails the test, whether the test reads that byte or not.
 *
 * Errors: any failure fails the test.
 */
#ifndef KV_TEST_TLS_H
#define KV_TEST_TLS_H

#include <stdint.h>

#include "support/client/stream.h"

struct kv_test_tls;

/* Options of a stream's handshake. All zero: any version, no name, no client certificate, and no
 * check of the server's certificate. */
struct kv_test_tls_options {
    const char *ca;        /* PEM: the authority that must have signed the server's certificate;
                            * NULL: no check */
    const char *name;      /* of the server, requested by SNI and verified; NULL: none */
    const char *identity;  /* PEM: the client's certificate and key; NULL: none */
    const char *protocols; /* offered by ALPN, in wire format; NULL: none */
    const char *ciphers;   /* of TLS 1.2 */
    const char *suites;    /* of TLS 1.3 */
    int version;           /* the only version allowed, as OpenSSL numbers them; 0: any */
    uint8_t fragment;      /* the longest text of a record, as TLSEXT_max_fragment_length_512 and
                            * its like; 0: as usual */
    struct ssl_session_st *session; /* to resume */
};

/* Performs the handshake over an open stream. Returns: false if it failed; with TLS 1.3, a server
 * may refuse a client certificate only later. */
bool kv_test_tls_connect(struct kv_test_stream *stream, const struct kv_test_tls_options *options);

/* Results of the handshake. Valid as long as the stream. */
const char *kv_test_tls_version(const struct kv_test_stream *stream);
const char *kv_test_tls_protocol(const struct kv_test_stream *stream); /* "" if there is none */
/* The common name of the server's certificate; "" if there is none. */
const char *kv_test_tls_server(const struct kv_test_stream *stream);
bool kv_test_tls_is_resumed(const struct kv_test_stream *stream);
/* Whether the server has sent close_notify. */
bool kv_test_tls_has_closed(const struct kv_test_stream *stream);
/* Owns: the caller, by SSL_SESSION_free(). */
struct ssl_session_st *kv_test_tls_session(const struct kv_test_stream *stream);
/* Changes the client's key, and asks the server to change its own. */
void kv_test_tls_update_keys(struct kv_test_stream *stream);
/* Changes the client's key alone. */
void kv_test_tls_update_key(struct kv_test_stream *stream);

/* For streams: like non-blocking recv() and send(). */
ssize_t kv_test_tls_receive(struct kv_test_tls *tls, struct kv_buffer *in);
ssize_t kv_test_tls_send(struct kv_test_tls *tls, const char *bytes, size_t len);
/* Accepts NULL. */
void kv_test_tls_free(struct kv_test_tls *tls);

/* Whether tests use TLS with servers of the fixture (KV_TEST_TLS). */
bool kv_test_tls_is_wanted(void);

/* A file with a certificate and its key, deleted at the end of the process. */
const char *kv_test_tls_file(void);

/* Writes a new certificate for `name`, which is also its DNS name, and its key, into one PEM file,
 * readable by the owner alone. issuer: a file of this kind whose owner signs the certificate; NULL:
 * it is self-signed and may sign others. days: how long it is valid; below zero: it has expired. */
void kv_test_certificate_write(const char *path, const char *name, const char *issuer, int days);
/* The same for a certificate that is valid for some seconds. */
void kv_test_certificate_write_for(const char *path, const char *name, const char *issuer,
                                   long seconds);

#endif
