/*
 * Pace: whether bytes arrive, or are read, at the least rate. It is only checked after a period of
 * grace, so short transfers may be slow.
 *
 * Threads: those of the owner.
 */
#ifndef KV_NET_PACE_H
#define KV_NET_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The pace of one transfer. Plain data. */
struct kv_pace {
    int64_t begun_ms;
    uint64_t begun_at; /* the count of bytes at that time */
};

static inline struct kv_pace kv_pace_begin(int64_t now_ms, uint64_t n_bytes)
{
    return (struct kv_pace){now_ms, n_bytes};
}

/* n_bytes: so far, which may have become fewer; least_rate: bytes per second, required once
 * `grace_ms` have passed; 0: no minimum. */
static inline bool kv_pace_is_too_slow(const struct kv_pace *pace, int64_t now_ms, uint64_t n_bytes,
                                       int64_t grace_ms, size_t least_rate)
{
    int64_t due_ms = now_ms - pace->begun_ms - grace_ms;
    uint64_t n = n_bytes < pace->begun_at ? 0 : n_bytes - pace->begun_at;
    return due_ms > 0 && (double)n * 1000 < (double)least_rate * (double)due_ms;
}

#endif
