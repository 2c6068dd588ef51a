/*
 * The resources that a hook, or the loading of a script, may use: instructions, processor time, and
 * the memory of its state.
 *
 * Lua calls back every so many instructions, but a single one may process everything that the state
 * holds, for example compare two long strings. So the larger the state, the more often the clock is
 * read. Functions of the library are bounded by what they allocate: the allocator reads the clock,
 * too, and fails when the time is over. Functions that allocate nothing, or take unusually long per
 * byte, charge their work in advance (kv_budget_charge()).
 *
 * Once a budget is spent, every further instruction and every further charge raises an error, and
 * the script's pcall() and xpcall() do not catch it (guard.c).
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

/* The resources that one hook, or the loading of the script, has used. */
struct kv_script_budget {
    int64_t n_instructions;
    int64_t used_us;      /* processor time, until the clocks were last started */
    int64_t since_us;     /* when the clocks were started; 0: not since it was last resumed */
    int64_t since_cpu_us; /* the thread's processor time at that moment */
    bool is_spent;        /* it was stopped; further use is not counted */
};

/* The meter of one Lua state, whose extra space points to it. */
struct kv_script_meter {
    struct kv_script_limits limits;
    const atomic_bool *is_ending;    /* the server is ending, so hooks are stopped; NULL: never */
    struct kv_script_budget *budget; /* of the running hook or script; NULL: none is running */
    lua_State *lua;                  /* the running coroutine */
    size_t bytes;                    /* allocated by Lua */
    size_t work;                     /* bytes processed since the clock was last read */
    int interval;                    /* instructions between two readings of the clock */
    char reason[256];                /* the reason for the last stop, with file and line */
};

void kv_meter_init(struct kv_script_meter *meter, const struct kv_script_limits *limits,
                   const atomic_bool *is_ending);

/* The state's lua_Alloc; its user data is the meter. */
void *kv_meter_allocate(void *meter, void *block, size_t old_size, size_t new_size);

/* Attaches the meter to a new state. */
void kv_meter_attach(struct kv_script_meter *meter, lua_State *lua);

static inline struct kv_script_meter *kv_meter_of(lua_State *lua)
{
    return *(struct kv_script_meter **)lua_getextraspace(lua);
}

/* Code that runs in this coroutine between the two calls is charged to the budget. */
void kv_budget_begin(struct kv_script_meter *meter, lua_State *lua,
                     struct kv_script_budget *budget);
void kv_budget_end(struct kv_script_meter *meter);

/* Charges work that C is about to do, as the number of bytes processed, at about a nanosecond each.
 * Raises an error if the budget does not suffice. */
void kv_budget_charge(lua_State *lua, size_t work);

/* Charges a call from C into Lua like an instruction. */
void kv_budget_charge_call(lua_State *lua);

/* Raises if the budget is spent; scripts cannot catch this. */
void kv_budget_pass_on(lua_State *lua);

#endif
