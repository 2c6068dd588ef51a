/*
 * Relief: what a loop does while the memory of all connections is used up (base/budget.h). Those
 * who wait for memory go on as soon as some has been given back; and where that takes too long, the
 * connections that hold the most are closed. After a peak, freed memory goes back to the system.
 *
 * Threads: all of it belongs to a loop.
 */
#ifndef KV_NET_RELIEF_H
#define KV_NET_RELIEF_H

#include "loop/workers.h"
#include "net/connection.h"

/* What the largest connection of each loop holds, among those that keep memory from being given
 * back. */
struct kv_largest {
    _Atomic size_t bytes;
};

struct kv_relief {
    /* Lent. */
    struct kv_connections *connections; /* with a tally */
    struct kv_workers *workers;
    struct kv_largest *largest; /* of all loops */
    uint32_t n_loops;
    uint32_t loop;

    /* Its own. */
    struct kv_waits waits;
    struct kv_timer timer;
    int64_t strained_since_ms; /* 0: it is not */
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
