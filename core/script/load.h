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

/* loading: NULL where nobody ends it, nor takes faults of options. Returns: NULL and *reterr, with
 * file and line; empty where the faults say it all. Owns: the caller, one reference. */
struct kv_script_state *kv_script_load(const struct kv_script_config *config,
                                       struct kv_slice source,
                                       const struct kv_script_loading *loading,
                                       struct kv_error *reterr);

#endif
