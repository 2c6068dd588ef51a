/*
 * The pause before another attempt: it doubles with each failure, up to a limit, and is chosen at
 * random between half of that and all of it, so that clients that failed together do not retry
 * together.
 */
#ifndef KV_SINK_BACKOFF_H
#define KV_SINK_BACKOFF_H

#include <stdint.h>

struct kv_backoff {
    int64_t first_ms, longest_ms;
    int64_t next_ms; /* 0: the next failure is the first */
    uint64_t random; /* any seed */
};

/* Call after a failure. Returns: the pause. */
int64_t kv_backoff_fail(struct kv_backoff *backoff);

/* Call after a success. */
void kv_backoff_reset(struct kv_backoff *backoff);

#endif
