/*
 * A histogram of durations in a fixed amount of memory, with a relative error below 2 %.
 */
#ifndef KV_KVCTL_SPREAD_H
#define KV_KVCTL_SPREAD_H

#include <stdint.h>

enum {
    KV_CTL_SPREAD_STEPS = 64, /* of each power of two */
    KV_CTL_SPREAD_ROOM = 64 * KV_CTL_SPREAD_STEPS
};

/* All zero: empty. */
struct kv_ctl_spread {
    uint64_t counts[KV_CTL_SPREAD_ROOM];
    uint64_t n;
    uint64_t most;
};

void kv_ctl_spread_add(struct kv_ctl_spread *spread, uint64_t value);

/* The quantile: the value such that a share (0 to 1) of all values is at or below it. Returns: 0 if
 * there are none. */
uint64_t kv_ctl_spread_at(const struct kv_ctl_spread *spread, double share);

#endif
