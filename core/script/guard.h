/*
 * The sandbox: what of Lua's library scripts get, and limits for the functions of it that run in C,
 * where the budget of instructions does not reach.
 *
 * There is no io, os, package, debug, coroutine, load, dofile, require, collectgarbage, print, and
 * no finalizer (a metatable with __gc is refused: Lua runs them without hooks).
 *
 * Pattern matching: a pattern with k repetitions takes at most about len^k steps (len^(k+1) where
 * it is not anchored) on a subject of `len` bytes; what could take more than KV_GUARD_STEPS is
 * refused.
 */
#ifndef KV_SCRIPT_GUARD_H
#define KV_SCRIPT_GUARD_H

#include <lua.h>

#define KV_GUARD_STEPS 1e8 /* of the matcher: less than a second */

enum {
    KV_GUARD_LONGEST_TABLE = 1000000 /* that table.insert, remove, move and sort work on */
};

/* Makes the globals of a fresh state. May raise. */
void kv_guard_open(lua_State *lua);

#endif
