/*
 * An HTTPS server that answers every request with the same response; its self-signed certificate is
 * for 127.0.0.1.
 */
#ifndef KV_TESTS_HTTPS_H
#define KV_TESTS_HTTPS_H

#include <kvserver/types.h>

struct kv_test_https;

/* certificate_path: where to write the certificate, for clients to trust. Owns: the caller. */
struct kv_test_https *kv_test_https_start(const char *certificate_path);
void kv_test_https_stop(struct kv_test_https *https);

uint16_t kv_test_https_port(const struct kv_test_https *https);

/* From now on, answers with status 200 and this body. */
void kv_test_https_answer(struct kv_test_https *https, const char *body);

/* From now on, answers with this status line and these header lines, each with its CRLF. */
void kv_test_https_answer_with(struct kv_test_https *https, const char *status,
                               const char *headers);

/* The number of requests answered. */
size_t kv_test_https_n_requests(struct kv_test_https *https);

/* Waits until more than n requests were answered. */
void kv_test_https_await(struct kv_test_https *https, size_t n);

#endif
