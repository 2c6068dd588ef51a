/*
 * Relief: what a loop does while the memory of all connections is used up (base/budget.h). Those
 * who wait for memory go on as soon as some has been given back. If that takes too long, the
 * connections that hold the most are closed: after a quarter of a second those whose peers have
 * taken nothing meanwhile, or that wait for memory themselves; after a second any with unsent data.
 * Connections share values, so closing one may free less than it holds; each round that frees too
 * little is followed by a larger one. After a peak, freed memory goes back to the system.
 *
 * Threads: all of it belongs to a loop.
 */
#ifndef KV_NET_RELIEF_H
#define KV_NET_RELIEF_H

#include <stdatomic.h>

#include "loop/workers.h"
#include "net/connection.h"

/* The part of a loop's relief that the other loops read, and call it by. */
struct kv_relief_link {
    _Atomic size_t largest; /* what the largest of its connections holds that may be closed */
    struct kv_relief *relief;
    struct kv_post call;
    atomic_bool is_called;
};

struct kv_relief {
    /* Lent. */
    struct kv_connections *connections; /* with a tally */
    struct kv_workers *workers;
    struct kv_relief_link *links; /* of all loops */
    uint32_t n_loops;
    uint32_t loop;

    /* Its own. */
    struct kv_waits waits;
    struct kv_timer timer;
    int64_t strained_since_ms; /* 0: it is not */
    int64_t episode_since_ms;  /* the same, of strains that follow upon each other */
    int64_t calm_since_ms;     /* when the last of them was over; 0: it is not */
    int64_t watched_ms;        /* when it was last looked at what peers have taken */
    size_t to_free;            /* by connections that are closed the next time */
    uint32_t n_trims_due;      /* of freed memory */
    int64_t trimmed_ms;        /* when it was last begun */
    struct kv_job trim;
    bool is_trimming; /* the workers have `trim` */
};

void kv_relief_start(struct kv_relief *relief);

/* After the workers have ended: they may be trimming. */
void kv_relief_fini(struct kv_relief *relief);

/* Does what is due; also to be called now and then, as other loops may need the memory of this one.
 */
void kv_relief_run(struct kv_relief *relief);

#endif
