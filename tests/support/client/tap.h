/*
 * A tap: a port that forwards its connections to another port, and records the traffic.
 *
 * Threads: one of its own.
 */
#ifndef KV_TEST_TAP_H
#define KV_TEST_TAP_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buffer.h"

enum {
    KV_TEST_TAP_MOST = 64 /* connections, in sequence or concurrent */
};

struct kv_test_tap {
    uint16_t port;
    uint16_t to;
    int listener;
    pthread_t thread;
    atomic_bool is_closed;
    size_t n;
    struct {
        int fds[2]; /* of client and server; -1: ended */
        struct kv_buffer came[2];
    } connections[KV_TEST_TAP_MOST];
};

/* Owns: the caller, by kv_test_tap_close(). */
void kv_test_tap_open(struct kv_test_tap *tap, uint16_t to);
void kv_test_tap_close(struct kv_test_tap *tap);

/* To be called after all connections have ended: fails unless all traffic was TLS records, in both
 * directions. */
void kv_test_tap_expect_tls(struct kv_test_tap *tap);

/* Whether the bytes are TLS records, the last one possibly incomplete, or empty. */
bool kv_test_tap_is_tls(struct kv_slice bytes);

#endif
