/*
 * Loads scripts: compiles a text in a fresh state, runs it, and finds its hooks.
 */
#ifndef KV_SCRIPT_LOAD_H
#define KV_SCRIPT_LOAD_H

#include "script/state.h"

struct kv_script_loading {
    const atomic_bool *is_ending; /* as in budget.h */
    struct kv_script_faults *faults;
};

/* loading: NULL if it cannot be interrupted, and faults of options are not collected. Returns: NULL
 * and *reterr, with file and line; empty if the collected faults are complete. Owns: the caller,
 * one reference. */
struct kv_script_state *kv_script_load(const struct kv_script_config *config,
                                       struct kv_slice source,
                                       const struct kv_script_loading *loading,
                                       struct kv_error *reterr);

#endif
