/*
 * Which event holds up all that are behind it. A peer that is there and refuses what it is sent, or
 * breaks off at it, may do so because of a single event. So the first one is tried alone; where it
 * is refused too often alone, it is the culprit. Where it passes, batches grow again.
 */
#ifndef KV_SINK_REFUSALS_H
#define KV_SINK_REFUSALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KV_SINK_REFUSALS = 10 /* of an event alone, after which it is dropped */
};

/* All zero: nothing was refused. */
struct kv_sink_refusals {
    size_t most;       /* events of the next batch; 0: as many as there may be */
    uint64_t revision; /* of the one that is suspected */
    unsigned n;        /* how often it was refused alone */
};

/* The first of `n_offered` events, which has that revision, was refused. Returns: whether it is to
 * be dropped. */
bool kv_sink_refusals_note(struct kv_sink_refusals *refusals, uint64_t revision, size_t n_offered);

/* All of a batch was taken. most: that a batch may have. */
void kv_sink_refusals_relax(struct kv_sink_refusals *refusals, size_t most);

#endif
