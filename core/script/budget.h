/*
 * What a hook, or the loading of a script, may use: instructions, time of the processor, and the
 * memory of its state.
 *
 * Lua reports every so many instructions, but one of them may handle all that the state holds: it
 * may compare two long strings, say. So the clock is looked at the more often the larger the state
 * is. Functions of the library are bounded by what they allocate: the allocator looks at the clock,
 * too, and refuses when the time is over. Those that allocate nothing, or take longer for a byte
 * than others, charge their work before they do it (kv_budget_charge()).
 *
 * Once a budget is spent, every further instruction and every further charge raises, and the
 * script's pcall() and xpcall() pass that on (guard.c).
 *
 * Threads: a meter belongs to the thread that runs its state.
 */
#ifndef KV_SCRIPT_BUDGET_H
#define KV_SCRIPT_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include "script/config.h"

/* What one hook, or the loading of the script, has used. */
struct kv_script_budget {
    int64_t n_instructions;
    int64_t used_us;      /* of the processor, until the clocks were last started */
    int64_t since_us;     /* when that was; 0: they were not since it was last resumed */
    int64_t since_cpu_us; /* the thread's processor time then */
    bool is_spent;        /* it was stopped; nothing that it does counts any more */
};

/* Of one Lua state, whose extra space points to it. */
struct kv_script_meter {
    struct kv_script_limits limits;
    const atomic_bool *is_ending;    /* the server ends: hooks are stopped; NULL: it never does */
    struct kv_script_budget *budget; /* of what is being run; NULL: nothing is */
    lua_State *lua;                  /* the coroutine that is being run */
    size_t bytes;                    /* that Lua has allocated */
    size_t work;                     /* since the clock was last looked at; bytes */
    int interval;                    /* instructions between two looks at the clock */
    char reason[256];                /* why it was last stopped, with file and line */
};

void kv_meter_init(struct kv_script_meter *meter, const struct kv_script_limits *limits,
                   const atomic_bool *is_ending);

/* The state's lua_Alloc; its user data is the meter. */
void *kv_meter_allocate(void *meter, void *block, size_t old_size, size_t new_size);

/* Has a fresh state measured. */
void kv_meter_attach(struct kv_script_meter *meter, lua_State *lua);

static inline struct kv_script_meter *kv_meter_of(lua_State *lua)
{
    return *(struct kv_script_meter **)lua_getextraspace(lua);
}

/* What is run between the two, in this coroutine, counts on the budget. */
void kv_budget_begin(struct kv_script_meter *meter, lua_State *lua,
                     struct kv_script_budget *budget);
void kv_budget_end(struct kv_script_meter *meter);

/* Counts work that is about to be done in C, in bytes that are handled, at about a nanosecond each.
 * Raises where the budget does not reach. */
void kv_budget_charge(lua_State *lua, size_t work);

/* Counts a call out of C as an instruction is counted. */
void kv_budget_charge_call(lua_State *lua);

/* Raises where the budget is spent: nothing catches that. */
void kv_budget_pass_on(lua_State *lua);

#endif
