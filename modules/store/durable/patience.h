/*
 * Whether to wait a moment for clients that were just answered, as most of them write again at
 * once: a sync costs the same for many commands as for few.
 */
#ifndef KV_DURABLE_PATIENCE_H
#define KV_DURABLE_PATIENCE_H

#include <kvserver/types.h>

struct patience {
    size_t n_expected; /* commands to wait for; 0: none */
    int64_t until_ns;  /* CLOCK_MONOTONIC: the latest end of the wait */
};

/* A sync that took `sync_ns` has just ended. n: the commands that were answered, plus those already
 * waiting. */
static inline struct patience patience_begin(size_t n, int64_t now_ns, int64_t sync_ns)
{
    const int64_t longest_ns = 500000;
    return (struct patience){.n_expected = n / 4 * 3,
                             .until_ns = now_ns + (sync_ns < longest_ns ? sync_ns : longest_ns)};
}

static inline void patience_end_in_time(struct patience *patience, int64_t now_ns)
{
    if (now_ns >= patience->until_ns)
        patience->n_expected = 0;
}

/* The number of further commands to wait for. It reads no clock: the answer is valid until the
 * writer has waited. */
static inline size_t patience_missing(const struct patience *patience, size_t n_cmds)
{
    return n_cmds < patience->n_expected ? patience->n_expected - n_cmds : 0;
}

#endif
