/*
 * How long to wait before another attempt: twice as long after each failure, up to a limit, and by
 * chance between half of that and all of it, so that those who failed together do not come again
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

/* After a failure. Returns: how long to wait. */
int64_t kv_backoff_fail(struct kv_backoff *backoff);

/* After a success. */
void kv_backoff_reset(struct kv_backoff *backoff);

#endif
