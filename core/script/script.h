/*
 * The data of all scripts, of each script, and of each script on an event loop.
 *
 * The other files, each of which depends only on earlier ones:
 *  - budget.h and guard.h limit Lua; pattern.h and matching.h implement string.find and the like;
 *    number.h and value.h are JSON in Lua; state.h is a script loaded for one loop, call.h a
 *    running hook; log.h logs for hooks.
 *  - Functions for scripts: arguments.h checks their arguments; asking.h, editing.h and scanning.h
 *    have functions that wait for the keyspace; api.h is the whole table kv.
 *  - load.h loads scripts, run.h runs coroutines; calls.h has the calls of a loop, origin.h finds
 *    out which changes come from hooks.
 *  - Operations that calls wait for: gathering.h combines calls of one key, for counter.h (kv.incr)
 *    and updater.h (kv.update), whose writers give way to each other (right_of_way.h); requests.h
 *    sends everything to the keyspace.
 *  - hooks.h connects them to the keyspace; scripts.h is the interface for the rest of the server.
 */
#ifndef KV_SCRIPT_SCRIPT_H
#define KV_SCRIPT_SCRIPT_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/metrics.h"
#include "base/table.h"
#include "keyspace/keyspace.h"
#include "script/right_of_way.h"
#include "script/state.h"

struct kv_origins;

/* Limits the rate of log lines. */
struct kv_script_pace {
    int64_t since_ms;
    uint32_t n_told, n_untold;
};

/* For metrics. */
struct kv_script_counts {
    struct kv_counter refusals[KV_N_HOOKS]; /* by kv.refuse() */
    struct kv_counter faults[KV_N_HOOKS];
    struct kv_histogram durations[KV_N_HOOKS]; /* of calls, including the time spent waiting */
};

struct kv_script_loop {
    struct kv_script *script;
    struct kv_keyspace_loop *keyspace_loop;
    struct kv_script_state *state;
    struct kv_script_state *_Atomic next; /* a new version that the loop has not taken up yet */
    struct kv_post take_next;
    struct kv_post run_ready;
    bool run_ready_is_posted;
    struct kv_timer unsure;   /* set while it is unsure which server runs the ready hooks */
    struct kv_queue ready;    /* after-hooks that may begin */
    struct kv_table busy;     /* running after-hooks, one for each key */
    struct kv_table counters; /* counter.c */
    struct kv_table updaters; /* updater.c */
    struct kv_list all;       /* every call */
    struct kv_list spare;     /* memory of ended calls, for reuse */
    uint32_t n_spare;
    uint32_t n_pending; /* after-hooks that have not ended, including those waiting for others */
    _Atomic uint32_t n_calls; /* only this loop writes it */
    bool holds_writes;
    struct kv_script_pace errors, lines;
    struct kv_script_counts counts;
};

struct kv_script {
    struct kv_scripts *scripts;
    const struct kv_script_config *config;
    struct kv_interceptor interceptor;
    struct kv_script_loop *loops;
};

struct kv_scripts {
    size_t n;
    struct kv_script *all;
    uint32_t n_loops;
    struct kv_observer observer;
    struct kv_keyspace *keyspace;
    struct kv_origins *origins;
    struct kv_right_of_way right_of_way; /* updater.c */
    struct kv_post begin;                /* on_start() */
    bool has_begun;                      /* the first loop's */
    atomic_bool is_draining;             /* on_start() does not continue */
    atomic_bool is_ending;               /* no hook begins or continues */
};

/* The number of hooks that have not ended, also while the server is ending. Threads: any. */
static inline uint64_t kv_script_calls_under_way(const struct kv_scripts *scripts)
{
    uint64_t n = 0;
    for (size_t i = 0; i < scripts->n; i++)
        for (uint32_t k = 0; k < scripts->n_loops; k++)
            n += atomic_load(&scripts->all[i].loops[k].n_calls);
    return n;
}

static inline bool kv_script_is_ending(const struct kv_script_loop *here)
{
    return atomic_load(&here->script->scripts->is_ending);
}

#endif
