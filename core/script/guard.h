/*
 * The sandbox: what of Lua's library scripts get, and limits for the functions of it that run in C,
 * where no instructions are counted.
 *
 * There is no io, os, package, debug, coroutine, load, dofile, require, collectgarbage, print, no
 * finalizer (a metatable with __gc is refused: Lua runs them without counting), and no weak table
 * (__mode; load.c refuses scripts that name it: what a row of n weak keys that lead to one another
 * takes the collector, at a stretch, grows with the square of n).
 *
 * Nothing that a script runs may be without a budget, or go on after it:
 *
 *   - pcall and xpcall pass on that a budget is spent. xpcall calls its handler after the stack was
 *     unwound: Lua counts nothing in the handler of an error that was raised while it counts.
 *   - string.find, match, gmatch and gsub are KvServer's own (matching.c).
 *   - functions that call back (sort) charge for each call; those that read without allocating, or
 *     work long for a byte, charge before they begin; others are bounded by what they allocate.
 */
#ifndef KV_SCRIPT_GUARD_H
#define KV_SCRIPT_GUARD_H

#include <lua.h>

enum {
    KV_GUARD_LONGEST_TABLE = 1000000 /* that table.insert, remove, move, sort … work on */
};

/* Makes the globals of a fresh state. May raise. */
void kv_guard_open(lua_State *lua);

#endif
