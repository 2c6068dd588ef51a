#include "script/editing.h"

#include <lauxlib.h>

#include "script/arguments.h"
#include "script/asking.h"
#include "script/value.h"

enum {
    KEY = 1,
    FUNCTION,
    OPTIONS
};

/* ---- the value ---- */

static void push_value(lua_State *lua, const struct kv_edit *edit)
{
    lua_rawgeti(lua, LUA_REGISTRYINDEX, edit->ref);
}

/* Takes the value off the stack, and replaces the previous one. */
static void hold_value(lua_State *lua, struct kv_edit *edit)
{
    luaL_unref(lua, LUA_REGISTRYINDEX, edit->ref);
    edit->ref = LUA_NOREF;
    edit->ref = luaL_ref(lua, LUA_REGISTRYINDEX);
}

static void read_value(lua_State *lua, struct kv_edit *edit)
{
    if (edit->ref != LUA_NOREF)
        return;
    if (edit->old.revision == 0)
        lua_pushnil(lua);
    else
        kv_script_push_json(lua, edit->old.value);
    hold_value(lua, edit);
}

/* Takes the function's result. If there is none, the value stays as it is. */
static void take_new(lua_State *lua, struct kv_script_call *call, struct kv_edit *edit)
{
    call->has_edited = !lua_isnil(lua, -1);
    if (!call->has_edited) {
        lua_pop(lua, 1);
        return;
    }
    edit->has_changed = true;
    edit->is_gone = kv_asking_is_delete(lua, -1);
    if (edit->is_gone) {
        lua_pop(lua, 1);
        lua_pushnil(lua);
    }
    hold_value(lua, edit);
    if (call->request.ttl_is_given) {
        edit->ttl_is_given = true;
        edit->ttl_ms = call->request.ttl_ms;
    }
}

/* ---- the steps ---- */

static int answer(lua_State *lua, struct kv_script_call *call);

static int push_outcome(lua_State *lua, const struct kv_script_call *call)
{
    const struct kv_outcome *outcome = call->outcome;
    if (outcome->fault != NULL)
        return kv_asking_push_outcome(lua, call);
    if (call->has_edited && outcome->revision != 0)
        lua_pushinteger(lua, (lua_Integer)outcome->revision);
    else
        lua_pushboolean(lua, call->has_edited);
    return 1;
}

static void apply(lua_State *lua, struct kv_script_call *call)
{
    struct kv_edit *edit = call->outcome->edit;
    read_value(lua, edit);
    lua_pushvalue(lua, FUNCTION);
    push_value(lua, edit);
    lua_call(lua, 1, 1);
    take_new(lua, call, edit);
}

static int write_json(lua_State *lua)
{
    struct kv_script_call *call = lua_touserdata(lua, 2);
    call->text.len = 0;
    kv_script_write_json(lua, 1, call->state->sizes.value, &call->text);
    return 0;
}

static void write_value(lua_State *lua, struct kv_script_call *call)
{
    struct kv_edit *edit = call->outcome->edit;
    lua_pushcfunction(lua, write_json);
    push_value(lua, edit);
    lua_pushlightuserdata(lua, call);
    bool has_failed = lua_pcall(lua, 2, 0, 0) != LUA_OK;
    kv_budget_pass_on(lua);
    if (has_failed && !edit->is_shared)
        lua_error(lua);
    edit->is_no_json = has_failed;
    lua_settop(lua, OPTIONS);
}

/* The function has been applied; it is applied again if another write of the key came first. */
static int go_on(lua_State *lua, int status, lua_KContext context)
{
    struct kv_script_call *call = (struct kv_script_call *)context;
    (void)status;
    if (call->outcome->edit == NULL)
        return push_outcome(lua, call);
    if (call->outcome->edit->is_finished)
        write_value(lua, call);
    else
        apply(lua, call);
    return answer(lua, call);
}

static int answer(lua_State *lua, struct kv_script_call *call)
{
    call->request.kind = KV_REQUEST_ANSWER;
    return lua_yieldk(lua, 0, (lua_KContext)call, go_on);
}

/* kv.update(key, function(old) return new end [, {ttl}]) */
static int update(lua_State *lua)
{
    static const char *const options[] = {"ttl", NULL};
    struct kv_script_call *call = kv_argument_waiter(lua, "kv.update");
    struct kv_request request = {.kind = KV_REQUEST_UPDATE, .key = kv_argument_key(lua, KEY)};
    luaL_checktype(lua, FUNCTION, LUA_TFUNCTION);
    kv_argument_check_options(lua, OPTIONS, options);
    kv_argument_check_may_write(lua, call);
    if (kv_argument_push_option(lua, OPTIONS, "ttl")) {
        request.ttl_is_given = true;
        request.ttl_ms = kv_argument_ttl(lua, -1);
    }
    lua_settop(lua, OPTIONS);
    call->request = request;
    return lua_yieldk(lua, 0, (lua_KContext)call, go_on);
}

void kv_editing_export(lua_State *lua)
{
    lua_pushcfunction(lua, update);
    lua_setfield(lua, -2, "update");
}
