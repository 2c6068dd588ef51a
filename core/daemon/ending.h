/*
 * Waiting while the server ends: for one thing after another, each for a limited time, which a
 * second signal of the operator shortens. Longer waits are logged.
 *
 * Threads: the main one, which takes the signals.
 */
#ifndef KV_DAEMON_ENDING_H
#define KV_DAEMON_ENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

/* All zero: no second signal has come. */
struct kv_ending {
    bool is_hurried; /* a second signal has come */
};

struct kv_awaited {
    bool (*is_over)(const void *context);
    void (*describe)(const void *context,
                     struct kv_buffer *out); /* appends what is unfinished: `2 hooks` */
    const void *context;
    int64_t until_ms;   /* CLOCK_BOOTTIME; INT64_MAX: no limit */
    int64_t hurried_ms; /* the limit after a second signal */
};

/* Returns: whether the wait has succeeded. */
bool kv_ending_await(struct kv_ending *ending, const struct kv_awaited *awaited);

/* Appends `3 hooks`, after a comma if the text is not empty; nothing if n is 0. */
void kv_ending_append_count(struct kv_buffer *out, uint64_t n, const char *what);

#endif
