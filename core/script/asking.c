#include "script/asking.h"

#include <lauxlib.h>

#include "script/arguments.h"
#include "script/script.h"
#include "script/value.h"
#include "wire/integer.h"

/* ---- results ---- */

static struct kv_keyspace *keyspace_of(const struct kv_script_call *call)
{
    return call->here->script->scripts->keyspace;
}

static void set_integer(lua_State *lua, const char *name, int64_t number)
{
    lua_pushinteger(lua, (lua_Integer)number);
    lua_setfield(lua, -2, name);
}

void kv_asking_push_meta(lua_State *lua, const struct kv_script_call *call, uint64_t revision,
                         int64_t deadline_ms)
{
    lua_createtable(lua, 0, 2);
    set_integer(lua, "revision", (int64_t)revision);
    if (deadline_ms != KV_NEVER)
        set_integer(lua, "ttl", kv_keyspace_ttl_left_ms(keyspace_of(call), deadline_ms));
}

/* Pushes nil, and the reason. */
static int push_fault(lua_State *lua, const char *why)
{
    lua_pushnil(lua);
    lua_pushstring(lua, why);
    return 2;
}

static int push_found(lua_State *lua, const struct kv_script_call *call, const struct kv_item *item)
{
    kv_script_push_json(lua, item->value);
    kv_asking_push_meta(lua, call, item->revision, item->deadline_ms);
    return 2;
}

static int push_done(lua_State *lua, const struct kv_script_call *call,
                     const struct kv_command *command)
{
    switch (command->kind) {
    case KV_COMMAND_GET:
        return push_found(lua, call, &command->item);
    case KV_COMMAND_SET:
        lua_pushinteger(lua, (lua_Integer)command->revision);
        return 1;
    default:
        lua_pushboolean(lua, true);
        return 1;
    }
}

static int push_missing(lua_State *lua, const struct kv_command *command)
{
    if (command->kind == KV_COMMAND_DELETE)
        lua_pushboolean(lua, false);
    else
        lua_pushnil(lua);
    return 1;
}

static int push_sum(lua_State *lua, const struct kv_outcome *outcome)
{
    lua_pushinteger(lua, (lua_Integer)outcome->sum);
    lua_pushinteger(lua, (lua_Integer)outcome->revision);
    return 2;
}

int kv_asking_push_outcome(lua_State *lua, const struct kv_script_call *call)
{
    const struct kv_outcome *outcome = call->outcome;
    const struct kv_command *command = outcome->command;
    if (outcome->fault != NULL)
        return push_fault(lua, outcome->fault);
    if (command == NULL)
        return push_sum(lua, outcome);
    switch (command->status) {
    case KV_OK:
    case KV_UNCHANGED:
        return push_done(lua, call, command);
    case KV_MISSING:
        return push_missing(lua, command);
    case KV_CONDITION:
        return push_fault(lua, "condition");
    case KV_REFUSED:
        return push_fault(lua, command->refusal);
    default:
        return push_fault(lua, kv_command_status_text(command->status));
    }
}

static int go_on(lua_State *lua, int status, lua_KContext context)
{
    (void)status;
    return kv_asking_push_outcome(lua, (const struct kv_script_call *)context);
}

/* The arguments stay on the stack meanwhile. */
static int await_outcome(lua_State *lua, struct kv_script_call *call)
{
    return lua_yieldk(lua, 0, (lua_KContext)call, go_on);
}

/* ---- functions for scripts ---- */

static void read_condition(lua_State *lua, int index, struct kv_request *request)
{
    if (kv_argument_push_option(lua, index, "if_revision")) {
        int is_integer;
        request->if_revision = (uint64_t)lua_tointegerx(lua, -1, &is_integer);
        if (!is_integer)
            luaL_error(lua, "if_revision: a revision is expected, not a %s",
                       luaL_typename(lua, -1));
        request->cond |= KV_COND_REVISION;
    }
    if (kv_argument_push_option(lua, index, "if_absent") && lua_toboolean(lua, -1))
        request->cond |= KV_COND_ABSENT;
    lua_pop(lua, 2);
}

static int get(lua_State *lua)
{
    struct kv_script_call *call = kv_argument_waiter(lua, "kv.get");
    call->request = (struct kv_request){.kind = KV_REQUEST_GET, .key = kv_argument_key(lua, 1)};
    return await_outcome(lua, call);
}

static int set(lua_State *lua)
{
    static const char *const options[] = {"ttl", "if_revision", "if_absent", NULL};
    struct kv_script_call *call = kv_argument_waiter(lua, "kv.set");
    struct kv_request request = {.kind = KV_REQUEST_SET, .key = kv_argument_key(lua, 1)};
    luaL_argcheck(lua, !lua_isnoneornil(lua, 2), 2,
                  "a value is expected; kv.null is JSON's null, and kv.delete takes a key away");
    kv_argument_check_options(lua, 3, options);
    kv_argument_check_may_write(lua, call);
    read_condition(lua, 3, &request);
    if (kv_argument_push_option(lua, 3, "ttl")) {
        request.ttl_is_given = true;
        request.ttl_ms = kv_argument_ttl(lua, -1);
    }
    call->text.len = 0;
    kv_script_write_json(lua, 2, kv_state_of(lua)->sizes.value, &call->text);
    call->request = request;
    return await_outcome(lua, call);
}

static int delete (lua_State *lua)
{
    static const char *const options[] = {"if_revision", NULL};
    struct kv_script_call *call = kv_argument_waiter(lua, "kv.delete");
    struct kv_request request = {.kind = KV_REQUEST_DELETE, .key = kv_argument_key(lua, 1)};
    kv_argument_check_options(lua, 2, options);
    kv_argument_check_may_write(lua, call);
    read_condition(lua, 2, &request);
    call->request = request;
    return await_outcome(lua, call);
}

static int incr(lua_State *lua)
{
    struct kv_script_call *call = kv_argument_waiter(lua, "kv.incr");
    struct kv_request request = {.kind = KV_REQUEST_INCR, .key = kv_argument_key(lua, 1)};
    request.by = luaL_optinteger(lua, 2, 1);
    luaL_argcheck(lua, request.by >= KV_INTEGER_MIN, 2, "-2^63 is out of range");
    kv_argument_check_may_write(lua, call);
    call->request = request;
    return await_outcome(lua, call);
}

bool kv_asking_is_delete(lua_State *lua, int index)
{
    return lua_tocfunction(lua, index) == delete;
}

void kv_asking_export(lua_State *lua)
{
    static const luaL_Reg functions[] = {
        {"get", get}, {"set", set}, {"delete", delete}, {"incr", incr}, {NULL, NULL}};
    luaL_setfuncs(lua, functions, 0);
}
