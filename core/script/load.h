/*
 * Loads scripts: compiles a text in a fresh state, runs it, and finds its hooks.
 */
#ifndef KV_SCRIPT_LOAD_H
#define KV_SCRIPT_LOAD_H

#include "script/state.h"

/* is_ending: as in budget.h. Returns: NULL and *reterr, with file and line. Owns: the caller, one
 * reference. */
struct kv_script_state *kv_script_load(const struct kv_script_config *config,
                                       struct kv_slice source, const atomic_bool *is_ending,
                                       struct kv_error *reterr);

#endif
