#include "script/guard.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

/* ---- patterns ---- */

/* How many repetitions a pattern has: single characters and classes with * + - or ?, and %b. */
static int count_repetitions(const char *pattern, size_t len)
{
    int n = 0;
    bool is_in_set = false;
    for (size_t i = 0; i < len; i++) {
        if (pattern[i] == '%' && i + 1 < len) {
            n += !is_in_set && pattern[i + 1] == 'b';
            i++;
        } else if (is_in_set) {
            is_in_set = pattern[i] != ']';
        } else if (pattern[i] == '[') {
            is_in_set = true;
            i += i + 1 < len && pattern[i + 1] == '^';
            i += i + 1 < len && pattern[i + 1] == ']';
        } else {
            n += strchr("*+-?", pattern[i]) != NULL && pattern[i] != '\0';
        }
    }
    return n;
}

static void check_pattern(lua_State *lua)
{
    size_t subject_len, pattern_len;
    luaL_checklstring(lua, 1, &subject_len);
    const char *pattern = luaL_checklstring(lua, 2, &pattern_len);
    int exponent = count_repetitions(pattern, pattern_len) + (pattern[0] != '^');
    if (pow((double)subject_len + 1, exponent < 1 ? 1 : exponent) > KV_GUARD_STEPS)
        luaL_error(lua, "a pattern with so many repetitions is too much for a text of %d bytes",
                   (int)subject_len);
}

/* Calls the library's own function, an upvalue, in its place. What counts instructions has seen
 * none of it, and looks at the time. */
static int call_original(lua_State *lua)
{
    lua_Hook count = lua_gethook(lua);
    int n = lua_tocfunction(lua, lua_upvalueindex(1))(lua);
    if (count != NULL)
        count(lua, NULL);
    return n;
}

static int guarded_match(lua_State *lua)
{
    check_pattern(lua);
    return call_original(lua);
}

/* A plain search is not by patterns. */
static int guarded_find(lua_State *lua)
{
    if (!lua_toboolean(lua, 4))
        check_pattern(lua);
    return call_original(lua);
}

/* ---- tables ---- */

static int guarded_table(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    if (luaL_len(lua, 1) > KV_GUARD_LONGEST_TABLE)
        return luaL_error(lua, "the table is longer than %d", KV_GUARD_LONGEST_TABLE);
    return call_original(lua);
}

static int guarded_move(lua_State *lua)
{
    lua_Integer from = luaL_checkinteger(lua, 2), to = luaL_checkinteger(lua, 3);
    if (to >= from && (lua_Unsigned)to - (lua_Unsigned)from >= KV_GUARD_LONGEST_TABLE)
        return luaL_error(lua, "more than %d elements", KV_GUARD_LONGEST_TABLE);
    return call_original(lua);
}

static int guarded_concat(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    lua_Integer from = luaL_optinteger(lua, 3, 1);
    lua_Integer to = luaL_opt(lua, luaL_checkinteger, 4, luaL_len(lua, 1));
    if (to >= from && (lua_Unsigned)to - (lua_Unsigned)from >= KV_GUARD_LONGEST_TABLE)
        return luaL_error(lua, "more than %d elements", KV_GUARD_LONGEST_TABLE);
    return call_original(lua);
}

/* ---- metatables ---- */

static int guarded_setmetatable(lua_State *lua)
{
    if (lua_istable(lua, 2)) {
        lua_pushliteral(lua, "__gc");
        if (lua_rawget(lua, 2) != LUA_TNIL)
            return luaL_error(lua, "a metatable with __gc is not allowed");
        lua_pop(lua, 1);
    }
    return call_original(lua);
}

/* ---- opening ---- */

/* Replaces a function of the table at the top by one that has it as its upvalue. */
static void guard(lua_State *lua, const char *name, lua_CFunction by)
{
    lua_getfield(lua, -1, name);
    lua_pushcclosure(lua, by, 1);
    lua_setfield(lua, -2, name);
}

static void forbid(lua_State *lua, const char *name)
{
    lua_pushnil(lua);
    lua_setfield(lua, -2, name);
}

static void open_base(lua_State *lua)
{
    luaL_requiref(lua, LUA_GNAME, luaopen_base, 1);
    static const char *const forbidden[] = {"collectgarbage", "dofile", "load",
                                            "loadfile",       "print",  "warn"};
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
        forbid(lua, forbidden[i]);
    guard(lua, "setmetatable", guarded_setmetatable);
    lua_pop(lua, 1);
}

static void open_string(lua_State *lua)
{
    luaL_requiref(lua, LUA_STRLIBNAME, luaopen_string, 1);
    guard(lua, "find", guarded_find);
    guard(lua, "match", guarded_match);
    guard(lua, "gmatch", guarded_match);
    guard(lua, "gsub", guarded_match);
    forbid(lua, "dump");
    lua_pop(lua, 1);
    lua_pushliteral(lua, "");
    lua_getmetatable(lua, -1);
    lua_pushboolean(lua, false);
    lua_setfield(lua, -2, "__metatable");
    lua_pop(lua, 2);
}

static void open_table(lua_State *lua)
{
    luaL_requiref(lua, LUA_TABLIBNAME, luaopen_table, 1);
    guard(lua, "insert", guarded_table);
    guard(lua, "remove", guarded_table);
    guard(lua, "sort", guarded_table);
    guard(lua, "move", guarded_move);
    guard(lua, "concat", guarded_concat);
    lua_pop(lua, 1);
}

void kv_guard_open(lua_State *lua)
{
    open_base(lua);
    open_string(lua);
    open_table(lua);
    luaL_requiref(lua, LUA_MATHLIBNAME, luaopen_math, 1);
    luaL_requiref(lua, LUA_UTF8LIBNAME, luaopen_utf8, 1);
    lua_pop(lua, 2);
}
