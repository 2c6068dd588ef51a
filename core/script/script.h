/*
 * All scripts, each of them, and what each has on an event loop.
 *
 * The other files, each of which knows only those before it:
 *  - budget.h and guard.h limit what Lua may do; pattern.h and matching.h are string.find and the
 *    like; number.h and value.h are JSON in Lua; state.h is a script that was loaded for one loop,
 *    call.h a hook under way; log.h logs for hooks.
 *  - What scripts call: arguments.h checks what they pass; asking.h, editing.h and scanning.h are
 *    functions that wait for the keyspace; api.h is the whole table kv.
 *  - load.h loads scripts, run.h runs coroutines; calls.h has the calls of a loop, origin.h knows
 *    which changes come from hooks.
 *  - What calls wait for: gathering.h brings calls of one key together, for counter.h (kv.incr) and
 *    updater.h (kv.update), whose writes give way to each other (right_of_way.h); requests.h sends
 *    everything to the keyspace.
 *  - hooks.h stands between the keyspace and all of them; scripts.h is the way in from outside.
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

/* At most so many lines a second. */
struct kv_script_pace {
    int64_t since_ms;
    uint32_t n_told, n_untold;
};

/* For metrics. */
struct kv_script_counts {
    struct kv_counter refusals[KV_N_HOOKS]; /* by kv.refuse() */
    struct kv_counter faults[KV_N_HOOKS];
    struct kv_histogram durations[KV_N_HOOKS]; /* of calls, with what they waited for */
};

struct kv_script_loop {
    struct kv_script *script;
    struct kv_keyspace_loop *keyspace_loop;
    struct kv_script_state *state;
    struct kv_script_state *_Atomic next; /* compiled anew, on its way */
    struct kv_post take_next;
    struct kv_post run_ready;
    bool run_ready_is_posted;
    struct kv_timer unsure;   /* whose hooks are ready is not certain */
    struct kv_queue ready;    /* after-hooks that may begin */
    struct kv_table busy;     /* after-hooks that have not ended, one for each key */
    struct kv_table counters; /* counter.c */
    struct kv_table updaters; /* updater.c */
    struct kv_list all;       /* every call */
    struct kv_list spare;     /* the memory of some that have ended */
    uint32_t n_spare;
    uint32_t n_pending;       /* after-hooks that have not ended, those behind others included */
    _Atomic uint32_t n_calls; /* written by this loop alone */
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
    atomic_bool is_draining;             /* on_start() does not go on */
    atomic_bool is_ending;               /* no hook begins or goes on any more */
};

/* Hooks that have not ended, whether the server is ending or not. Threads: any. */
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
