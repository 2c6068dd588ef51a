/*
 * A script, loaded for one event loop.
 *
 * Lua raises errors by longjmp(), also when memory is exhausted: all code that may raise runs
 * within kv_state_protect() or a coroutine, and must not own anything that only C knows.
 */
#ifndef KV_SCRIPT_STATE_H
#define KV_SCRIPT_STATE_H

#include "base/buffer.h"
#include "base/mem.h"
#include "script/budget.h"
#include "script/config.h"

enum kv_hook {
    KV_HOOK_BEFORE_SET,
    KV_HOOK_BEFORE_DELETE,
    KV_HOOK_ON_SET,
    KV_HOOK_ON_DELETE,
    KV_HOOK_ON_EXPIRE,
    KV_HOOK_ON_START,
    KV_N_HOOKS
};

extern const char *const kv_hook_names[KV_N_HOOKS];

struct kv_script_call;

struct kv_coroutine {
    lua_State *lua;
    int ref; /* in the registry, which keeps it alive */
};

enum {
    KV_SCRIPT_IDLE = 256,
    KV_SCRIPT_PROTECTED = 64
};

struct kv_script_state {
    struct kv_script_meter meter;
    lua_State *lua;
    const struct kv_script_config *config;
    struct kv_script_sizes sizes;
    uint32_t n_refs; /* its script's, and one for each call; only the loop's thread changes it */
    struct {
        int function; /* a reference in the registry; LUA_NOREF: there is no such hook */
        int n_parameters;
    } hooks[KV_N_HOOKS];
    int progress; /* a reference to the last result of on_start(); LUA_NOREF: none */
    struct kv_script_call *running;  /* the call whose Lua code is running; NULL: none */
    struct kv_script_faults *faults; /* of options, while it is loaded; NULL: not collected */
    struct kv_error *first_fault;    /* while it is loaded; empty: none */
    struct kv_buffer scratch;
    struct kv_slice protected[KV_SCRIPT_PROTECTED]; /* prefixes of keys that clients cannot write */
    size_t n_protected;
    struct kv_coroutine idle[KV_SCRIPT_IDLE]; /* ended without an error, and kept for reuse */
    size_t n_idle;
};

/* Creates an empty state, for a script to be loaded into (load.h). is_ending: as in budget.h.
 * Returns: NULL if limits.memory is too small. Owns: the caller, one reference. */
struct kv_script_state *kv_state_create(const struct kv_script_config *config,
                                        const atomic_bool *is_ending);
void kv_state_unref(struct kv_script_state *state); /* accepts NULL */

/* Runs a C function with one argument, a light userdata, and no results.
 * Returns: false if it raised an error; then *reterr describes it. */
bool kv_state_protect(struct kv_script_state *state, int (*function)(lua_State *lua),
                      void *argument, struct kv_error *reterr);

/* Writes the text of a raised error. */
void kv_state_tell_error(lua_State *lua, int index, struct kv_error *ret);

/* The state that a lua_State belongs to. */
static inline struct kv_script_state *kv_state_of(lua_State *lua)
{
    return KV_CONTAINER(kv_meter_of(lua), struct kv_script_state, meter);
}

static inline bool kv_state_has(const struct kv_script_state *state, enum kv_hook hook)
{
    return state->hooks[hook].n_parameters >= 0;
}

/* Prevents clients from writing keys that begin with the string at `index`. May raise. */
void kv_state_protect_keys(lua_State *lua, int index);

/* Whether on_set() has a fourth parameter. */
static inline bool kv_state_wants_previous(const struct kv_script_state *state)
{
    return state->hooks[KV_HOOK_ON_SET].n_parameters >= 4;
}

#endif
