/*
 * Finds the event that holds up all events after it. If a peer that is reachable refuses a batch,
 * or closes the connection on it, a single event may be the cause. So the first event is tried
 * alone; if it is refused too often, it is dropped. If it is accepted, batches grow again.
 */
#ifndef KV_SINK_REFUSALS_H
#define KV_SINK_REFUSALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KV_SINK_REFUSALS = 10 /* of an event alone, before it is dropped */
};

/* All zero: nothing was refused. */
struct kv_sink_refusals {
    size_t most;       /* events of the next batch; 0: no limit */
    uint64_t revision; /* of the suspected event */
    unsigned n;        /* how often it was refused alone */
};

/* The first of `n_offered` events, which has that revision, was refused. Returns: whether to drop
 * it. */
bool kv_sink_refusals_note(struct kv_sink_refusals *refusals, uint64_t revision, size_t n_offered);

/* A whole batch was accepted. most: the limit of a batch. */
void kv_sink_refusals_relax(struct kv_sink_refusals *refusals, size_t most);

#endif
