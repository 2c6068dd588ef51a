/*
 * Waiting while the server ends: for one thing after another, each for a bounded time, which a
 * second signal of the operator cuts short. What takes longer than a moment is named in the log.
 *
 * Threads: the main one, which takes the signals.
 */
#ifndef KV_DAEMON_ENDING_H
#define KV_DAEMON_ENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

/* All zero: the operator is patient. */
struct kv_ending {
    bool is_hurried; /* by a second signal */
};

struct kv_awaited {
    bool (*is_over)(const void *context);
    void (*describe)(const void *context, struct kv_buffer *out); /* what is not: `2 hooks` */
    const void *context;
    int64_t until_ms;   /* CLOCK_BOOTTIME; INT64_MAX: as long as it takes */
    int64_t hurried_ms; /* at most so long after a second signal */
};

/* Returns: whether it is over. */
bool kv_ending_await(struct kv_ending *ending, const struct kv_awaited *awaited);

/* Appends `3 hooks`, behind a comma where something stands already; nothing where n is 0. */
void kv_ending_append_count(struct kv_buffer *out, uint64_t n, const char *what);

#endif
