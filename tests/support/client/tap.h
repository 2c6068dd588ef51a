/*
 * A tap: a port whose connections are passed on to another one, and what goes over them recorded.
 *
 * Threads: one of its own.
 */
#ifndef KV_TEST_TAP_H
#define KV_TEST_TAP_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buffer.h"

enum {
    KV_TEST_TAP_MOST = 64 /* connections, one after the other or at once */
};

struct kv_test_tap {
    uint16_t port;
    uint16_t to;
    int listener;
    pthread_t thread;
    atomic_bool is_closed;
    size_t n;
    struct {
        int fds[2]; /* of client and server; -1: it has ended */
        struct kv_buffer came[2];
    } connections[KV_TEST_TAP_MOST];
};

/* Owns: the caller, by kv_test_tap_close(). */
void kv_test_tap_open(struct kv_test_tap *tap, uint16_t to);
void kv_test_tap_close(struct kv_test_tap *tap);

/* After all connections have ended: fails unless they had records of TLS and nothing else, both
 * ways. */
void kv_test_tap_expect_tls(struct kv_test_tap *tap);

/* Whether the bytes are records of TLS, the last perhaps unfinished, or nothing. */
bool kv_test_tap_is_tls(struct kv_slice bytes);

#endif
