#include "script/arguments.h"

#include <string.h>

#include <lauxlib.h>

#include "base/duration.h"
#include "base/utf8.h"
#include "script/script.h"
#include "wire/ttl.h"

enum {
    MOST_PENDING = 100000 /* running hooks, or eight times limits.pending if that is more; beyond
                             this hooks may not write */
};

struct kv_script_call *kv_argument_hook(lua_State *lua, const char *function)
{
    struct kv_script_call *call = kv_state_of(lua)->running;
    if (call == NULL)
        luaL_error(lua, "%s may be called by hooks only", function);
    return call;
}

/* A coroutine cannot yield across a C function that calls the script. */
struct kv_script_call *kv_argument_waiter(lua_State *lua, const char *function)
{
    struct kv_script_call *call = kv_argument_hook(lua, function);
    if (!lua_isyieldable(lua))
        luaL_error(
            lua,
            "%s waits, and cannot be called from within a call-back of kv.update, table.sort "
            "or string.gsub, nor in a metamethod that a library function calls: call it "
            "before, and keep what it returns in a local",
            function);
    return call;
}

struct kv_slice kv_argument_key(lua_State *lua, int index)
{
    struct kv_slice key;
    if (lua_type(lua, index) != LUA_TSTRING)
        luaL_typeerror(lua, index, "string");
    key.bytes = lua_tolstring(lua, index, &key.len);
    luaL_argcheck(lua, key.len <= kv_state_of(lua)->sizes.key, index,
                  "the key is longer than limits.key");
    luaL_argcheck(lua, kv_utf8_is_valid(key), index, "the key is not UTF-8");
    return key;
}

/* Hooks' writes are not held back; so the chains of hooks that they cause, on all loops, need
 * another limit. */
void kv_argument_check_may_write(lua_State *lua, const struct kv_script_call *call)
{
    uint64_t n = kv_script_calls_under_way(call->here->script->scripts);
    if (n >= MOST_PENDING && n / 8 >= call->here->script->config->max_pending)
        luaL_error(lua, "%I hooks are under way: hooks may write no more", (lua_Integer)n);
    if (call->depth >= kv_state_of(lua)->config->max_depth)
        luaL_error(lua, "hooks that lead to hooks are more than %d deep",
                   (int)kv_state_of(lua)->config->max_depth);
}

int64_t kv_argument_ttl(lua_State *lua, int index)
{
    int64_t ttl_ms;
    const char *what;
    if (lua_isinteger(lua, index)) {
        ttl_ms = lua_tointeger(lua, index);
        if (ttl_ms < 0 || ttl_ms > KV_TTL_MAX_MS)
            luaL_error(lua, "ttl: %I is not between 0 and %I ms", (lua_Integer)ttl_ms,
                       (lua_Integer)KV_TTL_MAX_MS);
        return ttl_ms;
    }
    if (lua_type(lua, index) == LUA_TNUMBER) {
        lua_Number number = lua_tonumber(lua, index);
        if (!(number >= 0 && number <= (lua_Number)KV_TTL_MAX_MS))
            luaL_error(lua, "ttl: %f is not between 0 and %I ms", number,
                       (lua_Integer)KV_TTL_MAX_MS);
        ttl_ms = (int64_t)number;
        return ttl_ms + ((lua_Number)ttl_ms < number);
    }
    if (lua_type(lua, index) != LUA_TSTRING)
        luaL_error(lua, "ttl: milliseconds or a duration is expected, not a %s",
                   luaL_typename(lua, index));
    struct kv_slice text;
    text.bytes = lua_tolstring(lua, index, &text.len);
    if (kv_duration_parse(text, KV_TTL_MAX_MS, &ttl_ms, &what) != 0)
        luaL_error(lua, "ttl: \"%s\" %s", text.bytes, what);
    return ttl_ms;
}

void kv_argument_check_options(lua_State *lua, int index, const char *const names[])
{
    if (lua_isnoneornil(lua, index))
        return;
    luaL_checktype(lua, index, LUA_TTABLE);
    for (lua_pushnil(lua); lua_next(lua, index) != 0; lua_pop(lua, 1)) {
        size_t i = 0;
        while (names[i] != NULL &&
               (lua_type(lua, -2) != LUA_TSTRING || strcmp(lua_tostring(lua, -2), names[i]) != 0))
            i++;
        if (names[i] == NULL)
            luaL_error(lua, "there is no option %s", luaL_tolstring(lua, -2, NULL));
    }
}

/* Pushes the option. Returns: whether it is given. */
bool kv_argument_push_option(lua_State *lua, int index, const char *name)
{
    if (lua_isnoneornil(lua, index))
        lua_pushnil(lua);
    else
        lua_getfield(lua, index, name);
    return !lua_isnil(lua, -1);
}

const char *kv_argument_text(lua_State *lua, int index)
{
    struct kv_slice text;
    text.bytes = luaL_checklstring(lua, index, &text.len);
    luaL_argcheck(lua, kv_utf8_is_valid(text) && strlen(text.bytes) == text.len, index,
                  "a text is expected");
    return text.bytes;
}
