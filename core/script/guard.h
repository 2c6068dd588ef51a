/*
 * The sandbox: the parts of Lua's library that scripts get, and limits for its C functions, in
 * which no instructions are counted.
 *
 * There is no io, os, package, debug, coroutine, load, dofile, require, collectgarbage, print, no
 * finalizer (a metatable with __gc is refused: Lua runs them without counting), and no weak table
 * (__mode; load.c refuses scripts that name it: for a chain of n weak keys that refer to one
 * another, the uninterrupted time of the collector grows with the square of n).
 *
 * Nothing that a script runs may escape its budget, or continue after the budget is spent:
 *
 *  - pcall and xpcall do not catch the error of a spent budget. xpcall calls its handler after the
 *    stack was unwound, as Lua does not count in the handler of an error that was raised while it
 *    counts.
 *  - string.find, match, gmatch and gsub are KvServer's own (matching.c).
 *  - functions that call back (sort) charge for each call; functions that read without allocating,
 *    or take long per byte, charge in advance; others are bounded by what they allocate.
 */
#ifndef KV_SCRIPT_GUARD_H
#define KV_SCRIPT_GUARD_H

#include <lua.h>

enum {
    KV_GUARD_LONGEST_TABLE = 1000000 /* for table.insert, remove, move, sort … */
};

/* Creates the globals of a new state. May raise. */
void kv_guard_open(lua_State *lua);

#endif
