/*
 * Relief: a loop's actions while the memory of all connections is used up (base/budget.h). Waiters
 * for memory continue as soon as some has been released. If that takes too long, the connections
 * that hold the most are closed: after a quarter of a second those whose peers have taken nothing
 * meanwhile, or have sent nothing of an incomplete request, or that wait for memory themselves;
 * after a second any with unsent data, or an incomplete request. Connections share values, so
 * closing one may free less than it holds; each round that frees too little is followed by a larger
 * one. After a peak, freed memory goes back to the system.
 *
 * Threads: all of it belongs to a loop.
 */
#ifndef KV_NET_RELIEF_H
#define KV_NET_RELIEF_H

#include <stdatomic.h>

#include "loop/workers.h"
#include "net/connection.h"

/* The part of a loop's relief that other loops use: they read `largest`, and post `call`. */
struct kv_relief_link {
    _Atomic size_t largest; /* bytes held by the largest of its connections that may be closed */
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
    int64_t strained_since_ms; /* 0: not strained */
    int64_t episode_since_ms;  /* the beginning of a series of strains that follow each other
                                  closely; 0: none */
    int64_t calm_since_ms;     /* the end of the last strain; 0: strained */
    int64_t watched_ms;        /* when peers were last checked */
    size_t to_free;            /* by closing connections, in the next round */
    uint32_t n_trims_due;      /* trims of freed memory that are due */
    int64_t trimmed_ms;        /* when the last trim began */
    struct kv_job trim;
    bool is_trimming; /* the workers have `trim` */
};

void kv_relief_start(struct kv_relief *relief);

/* Call after the workers have ended: they may be trimming. */
void kv_relief_fini(struct kv_relief *relief);

/* Does the work that is due; also call it periodically, as other loops may need the memory of this
 * one. */
void kv_relief_run(struct kv_relief *relief);

#endif
