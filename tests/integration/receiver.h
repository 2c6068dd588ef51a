/*
 * An HTTP server that receives webhooks, on a thread of its own, and answers as the test says.
 */
#ifndef KV_TEST_RECEIVER_H
#define KV_TEST_RECEIVER_H

#include <pthread.h>

#include "base/buffer.h"

struct kv_test_received {
    char *head; /* the request line and the headers */
    struct kv_slice body;
    int64_t at_ms; /* when it came */
    char answer;   /* the letter of the plan */
};

struct kv_test_receiver {
    uint16_t port;
    int listener;
    pthread_t thread;
    pthread_mutex_t lock; /* for everything below */
    const char *plan;
    struct kv_test_received *all;
    size_t n;
};

/* plan: a letter for each request, the last for all that follow: `o` 204, `f` 500, `r` 503 with
 * Retry-After: 1, `g` 410, `m` 302 to itself, `c` closes without an answer, `s` does not answer
 * until the other side closes; `b` 200 with a body that is cut short, `h` 200 with a body that does
 * not end until the other side closes; `j` 422 where "bad" is in the body, else 204; `l` 413 where
 * the body is longer than 1000 bytes, else 204. port: 0 is any. */
void kv_test_receiver_start(struct kv_test_receiver *receiver, uint16_t port, const char *plan);
void kv_test_receiver_stop(struct kv_test_receiver *receiver);

/* Begins with the plan anew, at the next request. */
void kv_test_receiver_plan(struct kv_test_receiver *receiver, const char *plan);

/* Waits for that many requests. Returns: their number. The requests received stay valid until the
 * stop. */
size_t kv_test_receiver_await(struct kv_test_receiver *receiver, size_t n);
struct kv_test_received kv_test_receiver_get(struct kv_test_receiver *receiver, size_t i);

/* The value of a header, in a buffer of the caller's. */
void kv_test_received_header(const struct kv_test_received *received, const char *name, char *ret,
                             size_t size);

#endif
