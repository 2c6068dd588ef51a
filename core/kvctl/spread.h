/*
 * How long things took: counts by time, with an error below 2 %, in a fixed amount of memory.
 */
#ifndef KV_KVCTL_SPREAD_H
#define KV_KVCTL_SPREAD_H

#include <stdint.h>

enum {
    KV_CTL_SPREAD_STEPS = 64, /* of each power of two */
    KV_CTL_SPREAD_ROOM = 64 * KV_CTL_SPREAD_STEPS
};

/* All zero: nothing was added. */
struct kv_ctl_spread {
    uint64_t counts[KV_CTL_SPREAD_ROOM];
    uint64_t n;
    uint64_t most;
};

void kv_ctl_spread_add(struct kv_ctl_spread *spread, uint64_t value);

/* The value below or at which that share (0 to 1) of all is. Returns: 0 where there is none. */
uint64_t kv_ctl_spread_at(const struct kv_ctl_spread *spread, double share);

#endif
