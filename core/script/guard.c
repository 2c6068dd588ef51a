#include "script/guard.h"

#include <stdbool.h>
#include <stdint.h>

#include <lauxlib.h>
#include <lualib.h>

#include "script/budget.h"
#include "script/matching.h"

enum {
    WORK_A_FORMAT = 16,     /* bytes, for each byte of a format of pack and unpack */
    WORK_A_CHARACTER = 2,   /* for each byte that is decoded or read as a number */
    WORK_AN_ARGUMENT = 512, /* of string.format */
    MOST_INDEXES = 10       /* length of a chain of tables linked by __index */
};

/* Calls the library's own function, an upvalue, instead of the guarded one. */
static int call_original(lua_State *lua)
{
    return lua_tocfunction(lua, lua_upvalueindex(1))(lua);
}

/* ---- protected calls ---- */

static bool has_raised(int status)
{
    return status != LUA_OK && status != LUA_YIELD;
}

/* The results are on the stack after `context` other values. */
static int end_pcall(lua_State *lua, int status, lua_KContext context)
{
    if (!has_raised(status))
        return lua_gettop(lua) - (int)context;
    kv_budget_pass_on(lua);
    lua_pushboolean(lua, false);
    lua_insert(lua, -2);
    return 2;
}

static int guarded_pcall(lua_State *lua)
{
    luaL_checkany(lua, 1);
    kv_budget_charge_call(lua);
    lua_pushboolean(lua, true);
    lua_insert(lua, 1);
    return end_pcall(lua, lua_pcallk(lua, lua_gettop(lua) - 2, LUA_MULTRET, 0, 0, end_pcall), 0);
}

/* An error in the handler replaces the error that it was called for. */
static int end_handler(lua_State *lua, int status, lua_KContext context)
{
    (void)context;
    if (has_raised(status))
        kv_budget_pass_on(lua);
    lua_pushboolean(lua, false);
    lua_insert(lua, -2);
    return 2;
}

/* The handler is at the bottom of the stack. */
static int end_xpcall(lua_State *lua, int status, lua_KContext context)
{
    if (!has_raised(status))
        return end_pcall(lua, status, context);
    kv_budget_pass_on(lua);
    lua_pushvalue(lua, 1);
    lua_insert(lua, -2);
    return end_handler(lua, lua_pcallk(lua, 1, 1, 0, 0, end_handler), 0);
}

static int guarded_xpcall(lua_State *lua)
{
    luaL_checktype(lua, 2, LUA_TFUNCTION);
    kv_budget_charge_call(lua);
    lua_pushvalue(lua, 2);
    lua_insert(lua, 1);
    lua_pushvalue(lua, 2);
    lua_replace(lua, 3);
    lua_pushboolean(lua, true);
    lua_replace(lua, 2); /* now: the handler, true, the function, its arguments */
    return end_xpcall(lua, lua_pcallk(lua, lua_gettop(lua) - 3, LUA_MULTRET, 0, 1, end_xpcall), 1);
}

/* ---- texts ---- */

static size_t length_of(lua_State *lua, int index)
{
    return lua_type(lua, index) == LUA_TSTRING ? (size_t)lua_rawlen(lua, index) : 0;
}

/* For functions that read texts as numbers. */
static int guarded_reader(lua_State *lua)
{
    kv_budget_charge(lua, (length_of(lua, 1) + length_of(lua, 2)) * WORK_A_CHARACTER);
    return call_original(lua);
}

/* A position; negative ones count from the end. */
static lua_Integer place_of(lua_State *lua, int index, lua_Integer fallback, size_t len)
{
    lua_Integer place = luaL_optinteger(lua, index, fallback);
    return place < 0 ? place + (lua_Integer)len + 1 : place;
}

static int guarded_utf8_len(lua_State *lua)
{
    size_t len = length_of(lua, 1);
    lua_Integer from = place_of(lua, 2, 1, len), to = place_of(lua, 3, -1, len);
    if (from > 0 && to <= (lua_Integer)len && to > from)
        kv_budget_charge(lua, (size_t)(to - from) * WORK_A_CHARACTER);
    return call_original(lua);
}

/* For pack, unpack and packsize: charges for the length of their formats. */
static int guarded_packer(lua_State *lua)
{
    kv_budget_charge(lua, length_of(lua, 1) * WORK_A_FORMAT);
    return call_original(lua);
}

static int guarded_format(lua_State *lua)
{
    kv_budget_charge(lua, length_of(lua, 1) + (size_t)lua_gettop(lua) * WORK_AN_ARGUMENT);
    return call_original(lua);
}

/* For rep: the library would repeat an empty text as often as it is told. */
static int guarded_rep(lua_State *lua)
{
    size_t len, separator_len;
    luaL_checklstring(lua, 1, &len);
    luaL_optlstring(lua, 3, "", &separator_len);
    if (len != 0 || separator_len != 0)
        return call_original(lua);
    luaL_checkinteger(lua, 2);
    lua_pushliteral(lua, "");
    return 1;
}

/* ---- tables ---- */

/* Calls of a C function for every element would not be counted. */
static void check_metamethod(lua_State *lua, int index, const char *name)
{
    int top = lua_gettop(lua), i = 0;
    luaL_checkstack(lua, MOST_INDEXES + 2, NULL);
    lua_pushvalue(lua, index);
    while (lua_istable(lua, -1) && luaL_getmetafield(lua, -1, name) != LUA_TNIL)
        if (lua_iscfunction(lua, -1) || ++i > MOST_INDEXES)
            luaL_error(lua, "a function of the library, or a long row of tables, stands behind %s",
                       name);
    lua_settop(lua, top);
}

static void check_table(lua_State *lua, int index)
{
    if (!lua_getmetatable(lua, index))
        return;
    lua_pop(lua, 1);
    check_metamethod(lua, index, "__index");
    check_metamethod(lua, index, "__newindex");
}

static void check_length(lua_State *lua, lua_Integer from, lua_Integer to)
{
    if (to >= from && (lua_Unsigned)to - (lua_Unsigned)from >= KV_GUARD_LONGEST_TABLE)
        luaL_error(lua, "more than %d elements", KV_GUARD_LONGEST_TABLE);
    kv_budget_charge_call(lua);
}

/* For insert, remove and sort. */
static int guarded_table(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    check_table(lua, 1);
    check_length(lua, 1, luaL_len(lua, 1));
    return call_original(lua);
}

static int guarded_move(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    check_table(lua, 1);
    if (lua_istable(lua, 5))
        check_table(lua, 5);
    check_length(lua, luaL_checkinteger(lua, 2), luaL_checkinteger(lua, 3));
    return call_original(lua);
}

static int guarded_concat(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    check_table(lua, 1);
    check_length(lua, luaL_optinteger(lua, 3, 1),
                 luaL_opt(lua, luaL_checkinteger, 4, luaL_len(lua, 1)));
    return call_original(lua);
}

static int guarded_unpack(lua_State *lua)
{
    if (lua_istable(lua, 1))
        check_table(lua, 1);
    kv_budget_charge_call(lua);
    return call_original(lua);
}

/* ---- sort ---- */

static int is_less(lua_State *lua)
{
    size_t one = length_of(lua, 1), other = length_of(lua, 2);
    kv_budget_charge_call(lua);
    kv_budget_charge(lua, one < other ? one : other);
    lua_pushboolean(lua, lua_compare(lua, 1, 2, LUA_OPLT));
    return 1;
}

static int is_less_by_library(lua_State *lua)
{
    kv_budget_charge_call(lua);
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_insert(lua, 1);
    lua_call(lua, lua_gettop(lua) - 1, 1);
    return 1;
}

/* Functions of scripts count their own instructions. */
static int guarded_sort(lua_State *lua)
{
    lua_settop(lua, 2);
    if (lua_isnil(lua, 2)) {
        lua_pushcfunction(lua, is_less);
        lua_replace(lua, 2);
    } else if (lua_iscfunction(lua, 2)) {
        lua_pushcclosure(lua, is_less_by_library, 1);
    }
    return guarded_table(lua);
}

/* ---- metatables ---- */

static void forbid_field(lua_State *lua, const char *name)
{
    lua_pushstring(lua, name);
    if (lua_rawget(lua, 2) != LUA_TNIL)
        luaL_error(lua, "a metatable with %s is not allowed", name);
    lua_pop(lua, 1);
}

/* Marks copies of metatables that scripts may replace. */
static const char replaceable;

/* The host's metatables, and those with `__metatable`, cannot be replaced. */
static void check_replaceable(lua_State *lua)
{
    if (!lua_getmetatable(lua, 1))
        return;
    if (lua_rawgetp(lua, -1, &replaceable) == LUA_TNIL)
        luaL_error(lua, "cannot change a protected metatable");
    lua_pop(lua, 2);
}

/* Pushes a copy of the table at index 2; getmetatable() does not reveal the copy. */
static void push_copy(lua_State *lua)
{
    lua_newtable(lua);
    for (lua_pushnil(lua); lua_next(lua, 2) != 0;) {
        lua_pushvalue(lua, -2);
        lua_insert(lua, -2);
        lua_rawset(lua, 3);
    }
    lua_pushliteral(lua, "__metatable");
    if (lua_rawget(lua, 3) == LUA_TNIL) {
        lua_pushvalue(lua, 2);
        lua_setfield(lua, 3, "__metatable");
        lua_pushboolean(lua, true);
        lua_rawsetp(lua, 3, &replaceable);
    }
    lua_settop(lua, 3);
}

/* Scripts must not have access to a metatable in use: they could set `__gc` and `__mode` in it
 * afterwards, and the collector's work is not metered. */
static int guarded_setmetatable(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_argexpected(lua, lua_isnil(lua, 2) || lua_istable(lua, 2), 2, "nil or table");
    lua_settop(lua, 2);
    kv_budget_charge_call(lua);
    check_replaceable(lua);
    if (lua_istable(lua, 2)) {
        forbid_field(lua, "__gc");
        forbid_field(lua, "__mode");
        push_copy(lua);
    }
    lua_setmetatable(lua, 1);
    lua_settop(lua, 1);
    return 1;
}

/* ---- opening ---- */

struct guarded {
    const char *name;
    lua_CFunction by;
};

/* Replaces functions of the table at the top by guarded ones, which have the originals as
 * upvalues. */
static void guard(lua_State *lua, const struct guarded *functions, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        lua_getfield(lua, -1, functions[i].name);
        lua_pushcclosure(lua, functions[i].by, 1);
        lua_setfield(lua, -2, functions[i].name);
    }
}

static void forbid(lua_State *lua, const char *name)
{
    lua_pushnil(lua);
    lua_setfield(lua, -2, name);
}

static void open_base(lua_State *lua)
{
    static const char *const forbidden[] = {"collectgarbage", "dofile", "load",
                                            "loadfile",       "print",  "warn"};
    static const struct guarded functions[] = {{"pcall", guarded_pcall},
                                               {"xpcall", guarded_xpcall},
                                               {"setmetatable", guarded_setmetatable},
                                               {"tonumber", guarded_reader}};
    luaL_requiref(lua, LUA_GNAME, luaopen_base, 1);
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
        forbid(lua, forbidden[i]);
    guard(lua, functions, sizeof(functions) / sizeof(functions[0]));
    lua_pop(lua, 1);
}

/* The metatable of strings contains the conversions of strings to numbers in arithmetic. */
static void open_string_metatable(lua_State *lua)
{
    static const struct guarded functions[] = {
        {"__add", guarded_reader},  {"__sub", guarded_reader}, {"__mul", guarded_reader},
        {"__mod", guarded_reader},  {"__pow", guarded_reader}, {"__div", guarded_reader},
        {"__idiv", guarded_reader}, {"__unm", guarded_reader}};
    lua_pushliteral(lua, "");
    lua_getmetatable(lua, -1);
    guard(lua, functions, sizeof(functions) / sizeof(functions[0]));
    lua_pushboolean(lua, false);
    lua_setfield(lua, -2, "__metatable");
    lua_pop(lua, 2);
}

static void open_string(lua_State *lua)
{
    static const struct guarded functions[] = {{"pack", guarded_packer},
                                               {"unpack", guarded_packer},
                                               {"packsize", guarded_packer},
                                               {"format", guarded_format},
                                               {"rep", guarded_rep}};
    luaL_requiref(lua, LUA_STRLIBNAME, luaopen_string, 1);
    guard(lua, functions, sizeof(functions) / sizeof(functions[0]));
    kv_matching_export(lua);
    forbid(lua, "dump");
    lua_pop(lua, 1);
    open_string_metatable(lua);
}

static void open_table(lua_State *lua)
{
    static const struct guarded functions[] = {
        {"insert", guarded_table}, {"remove", guarded_table},  {"sort", guarded_sort},
        {"move", guarded_move},    {"concat", guarded_concat}, {"unpack", guarded_unpack}};
    luaL_requiref(lua, LUA_TABLIBNAME, luaopen_table, 1);
    guard(lua, functions, sizeof(functions) / sizeof(functions[0]));
    lua_pop(lua, 1);
}

static void open_utf8(lua_State *lua)
{
    static const struct guarded functions[] = {{"len", guarded_utf8_len}};
    luaL_requiref(lua, LUA_UTF8LIBNAME, luaopen_utf8, 1);
    guard(lua, functions, sizeof(functions) / sizeof(functions[0]));
    lua_pop(lua, 1);
}

void kv_guard_open(lua_State *lua)
{
    open_base(lua);
    open_string(lua);
    open_table(lua);
    open_utf8(lua);
    luaL_requiref(lua, LUA_MATHLIBNAME, luaopen_math, 1);
    lua_pop(lua, 1);
}
