/*
 * A TCP connection for tests: outgoing data is queued, incoming data is collected, and both move at
 * once, so that neither side can block the other, however large the messages are.
 *
 * Threads: none. One test drives many connections with kv_test_stream_turn(). Errors: a failure (no
 * connection, no progress for KV_TEST_LIMIT_MS) fails the test.
 */
#ifndef KV_TEST_STREAM_H
#define KV_TEST_STREAM_H

#include "base/buffer.h"

/* Longer than any step takes, even on a busy machine. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KV_TEST_LIMIT_MS 120000
#else
#define KV_TEST_LIMIT_MS 30000
#endif

enum {
    KV_TEST_MAX_STREAMS = 64, /* per turn */
};

struct kv_test_stream {
    int fd;              /* -1: closed */
    struct kv_buffer in; /* received data; the first `in_at` bytes are consumed */
    size_t in_at;
    struct kv_buffer out; /* data to be sent, from `out_at` on */
    size_t out_at;
    struct kv_test_tls *tls; /* NULL: no TLS */
    bool is_ended;           /* the server closed its side, or the connection was reset */
    bool is_paused;          /* the test plays a client that does not read */
};

/* Monotonic time. */
int64_t kv_test_now_us(void);
int64_t kv_test_now_ms(void);

/* Only for tests of time itself; all others wait for an event. */
void kv_test_sleep_ms(int64_t duration_ms);

/* Connects to the port of 127.0.0.1, with TLS if the tests use it (tls.h); so do the functions
 * below, unless they say otherwise. Owns: the caller, by kv_test_stream_close(). */
void kv_test_stream_open(struct kv_test_stream *stream, uint16_t port);

/* Connects without TLS, whatever the tests use. */
void kv_test_stream_open_clear(struct kv_test_stream *stream, uint16_t port);

/* Like open, with a receive buffer of about that size, so that the sender soon notices a paused
 * reader. */
void kv_test_stream_open_narrow(struct kv_test_stream *stream, uint16_t port, int receive_bytes);

/* From now on, connections to `port` go to `other` as well, by turns. */
void kv_test_stream_share(uint16_t port, uint16_t other);
/* From now on, they all go to `port`. */
void kv_test_stream_unshare(uint16_t port);

/* Connects to a Unix socket. */
void kv_test_stream_open_unix(struct kv_test_stream *stream, const char *path);

/* Like open. Returns: false if the connection is refused; the stream is closed then. */
bool kv_test_stream_try_open(struct kv_test_stream *stream, uint16_t port);

/* May be called twice. */
void kv_test_stream_close(struct kv_test_stream *stream);

/* Queues bytes, which are sent by the next turns. */
void kv_test_stream_put(struct kv_test_stream *stream, struct kv_slice bytes);

/* Sends everything queued, and reads meanwhile. Must not be called while paused. */
void kv_test_stream_flush(struct kv_test_stream *stream);

/* Sends everything queued, and waits until the server has read all of it. TCP only. */
void kv_test_stream_await_read(struct kv_test_stream *stream);

/* Waits until one of the streams makes progress or `limit_ms` is over; reads and writes as much as
 * possible. Returns: whether there was progress. */
bool kv_test_stream_turn(struct kv_test_stream *const streams[], size_t n, int64_t limit_ms);

/* One turn of a single stream, which must make progress. */
void kv_test_stream_wait(struct kv_test_stream *stream);

/* The received data that is not consumed. Valid until the next turn. */
struct kv_slice kv_test_stream_unread(const struct kv_test_stream *stream);

/* Consumes the first `len` unread bytes; their slices stay valid until the next turn. */
void kv_test_stream_use(struct kv_test_stream *stream, size_t len);

/* Waits for that many unread bytes. Returns: false if the connection ended first. */
bool kv_test_stream_await(struct kv_test_stream *stream, size_t len);

/* Waits for the end of the connection; data received before it stays unread. */
void kv_test_stream_await_end(struct kv_test_stream *stream);

#endif
