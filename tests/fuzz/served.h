/*
 * A server's core in this process, for targets that use a socket: one loop whose turns the target
 * runs, a clock that it sets, the store `memory`, and one connection at a time. Everything between
 * the socket and the store is the real code.
 */
#ifndef KV_TESTS_FUZZ_SERVED_H
#define KV_TESTS_FUZZ_SERVED_H

#include "base/buffer.h"
#include "fuzz.h"

enum served_way {
    SERVED_BY_FAST_PATH, /* the default */
    SERVED_BY_H2O,       /* without the fast path (http/fast.h) */
    SERVED_WAYS
};

/* Opens a connection to the server of that kind, which is created at the first call. Its store is
 * empty, its limits are small. */
void served_open(enum served_way way);

/* Sends the bytes; the server receives them in pieces of at most `piece` bytes (0: as they arrive),
 * with turns of its loop in between. Its answers are collected. Bytes that it does not accept are
 * dropped. */
void served_send(struct kv_slice bytes, size_t piece);

/* The client sends no more, waits until no more data arrives, and closes. The server must then have
 * freed the connection, with no command left. Returns: all answers, valid until the next open. */
struct kv_slice served_close(void);

/* Whether the server has closed the connection before served_close(). */
bool served_is_ended(void);

/* Lets time pass, for idle and stalled connections. */
void served_pass_time(int64_t ms);

#endif
