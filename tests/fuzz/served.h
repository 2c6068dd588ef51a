/*
 * A server's core in this process, for the targets that come in by a socket: one loop whose turns
 * the target takes, a clock that it sets, the store `memory`, and a connection at a time.
 * Everything between the socket and the store is the real thing.
 */
#ifndef KV_TESTS_FUZZ_SERVED_H
#define KV_TESTS_FUZZ_SERVED_H

#include "base/buffer.h"
#include "fuzz.h"

enum served_way {
    SERVED_BY_FAST_PATH, /* as by default */
    SERVED_BY_H2O,       /* without the fast path (http/fast.h) */
    SERVED_WAYS
};

/* Opens a connection to the server of that kind, which is made at the first call. Its store is
 * empty, its limits are small. */
void served_open(enum served_way way);

/* Sends the bytes; the server takes them in pieces of at most `piece` bytes (0: as they come), with
 * turns of its loop between them. What it answers is collected. Bytes that it does not take are
 * dropped. */
void served_send(struct kv_slice bytes, size_t piece);

/* The client sends no more, waits until nothing more comes, and goes. The server must be rid of the
 * connection then, with no command left. Returns: all that was answered, until the next open. */
struct kv_slice served_close(void);

/* Whether the server has ended the connection, before served_close() did. */
bool served_is_ended(void);

/* Lets time pass, for idle and stalled connections. */
void served_pass_time(int64_t ms);

#endif
