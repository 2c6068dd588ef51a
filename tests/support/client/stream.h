/*
 * A TCP connection for tests: what is to be sent is queued, what comes is collected, and both move
 * at once, so that neither side can block the other however large the messages are.
 *
 * Threads: none. One test drives many connections with kv_test_stream_turn().
 * Errors: what cannot be (no connection, nothing moving for KV_TEST_LIMIT_MS) fails the test.
 */
#ifndef KV_TEST_STREAM_H
#define KV_TEST_STREAM_H

#include "base/buffer.h"

/* Nothing that moves takes that long, on any machine, however busy. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KV_TEST_LIMIT_MS 120000
#else
#define KV_TEST_LIMIT_MS 30000
#endif

enum {
    KV_TEST_MAX_STREAMS = 64, /* in one turn */
};

struct kv_test_stream {
    int fd;              /* -1: closed */
    struct kv_buffer in; /* what came, the first `in_at` bytes of which are used up */
    size_t in_at;
    struct kv_buffer out; /* what is to be sent, from `out_at` on */
    size_t out_at;
    struct kv_test_tls *tls; /* NULL: in clear */
    bool is_ended;           /* the server closed its side, or the connection was reset */
    bool is_paused;          /* the test plays a client that does not read */
};

/* Monotonic time. */
int64_t kv_test_now_us(void);
int64_t kv_test_now_ms(void);

/* Only for what is about time itself; everything else waits for an event. */
void kv_test_sleep_ms(int64_t duration_ms);

/* Connects to the port of 127.0.0.1; with TLS where the tests are to speak it (tls.h), as do those
 * below. Owns: the caller, by kv_test_stream_close(). */
void kv_test_stream_open(struct kv_test_stream *stream, uint16_t port);

/* Connects in clear, whatever the tests are to speak. */
void kv_test_stream_open_clear(struct kv_test_stream *stream, uint16_t port);

/* Like open, with a receive buffer of about that size, so that a reader that pauses is soon felt.
 */
void kv_test_stream_open_narrow(struct kv_test_stream *stream, uint16_t port, int receive_bytes);

/* From now on connections to the port go there and to the other one by turns; 0: no longer. */
void kv_test_stream_pair(uint16_t port, uint16_t other);

/* Connects to a Unix socket. */
void kv_test_stream_open_unix(struct kv_test_stream *stream, const char *path);

/* Like open. Returns: false where the connection is refused; the stream is closed then. */
bool kv_test_stream_try_open(struct kv_test_stream *stream, uint16_t port);

/* May be called twice. */
void kv_test_stream_close(struct kv_test_stream *stream);

/* Queues bytes; they leave with the next turn. */
void kv_test_stream_put(struct kv_test_stream *stream, struct kv_slice bytes);

/* Sends what is queued, and reads meanwhile. Not while paused. */
void kv_test_stream_flush(struct kv_test_stream *stream);

/* Sends what is queued, and waits until the server has read all of it. TCP only. */
void kv_test_stream_await_read(struct kv_test_stream *stream);

/* Waits until one of the streams moves or `limit_ms` is over; reads and writes what is possible.
 * Returns: whether one moved. */
bool kv_test_stream_turn(struct kv_test_stream *const streams[], size_t n, int64_t limit_ms);

/* One turn of a single stream that must move. */
void kv_test_stream_wait(struct kv_test_stream *stream);

/* What came and is not used up. Valid until the next turn. */
struct kv_slice kv_test_stream_unread(const struct kv_test_stream *stream);

/* Marks the first `len` unread bytes as used up; their slices stay valid until the next turn. */
void kv_test_stream_use(struct kv_test_stream *stream, size_t len);

/* Waits for that many unread bytes. Returns: false where the connection ended before. */
bool kv_test_stream_await(struct kv_test_stream *stream, size_t len);

/* Waits for the end of the connection; what comes before it stays unread. */
void kv_test_stream_await_end(struct kv_test_stream *stream);

#endif
