/*
 * Coroutines of calls are resumed only here. The body of a coroutine is a C function, which pushes
 * the hook's arguments, and reads its results; so all code that may raise runs within the
 * coroutine. A coroutine that has ended without an error serves another call; any other is left to
 * the collector.
 */
#include "script/run.h"

#include <lauxlib.h>

#include "script/api.h"
#include "script/arguments.h"
#include "script/value.h"

/* ---- within the coroutine ---- */

/* If the returned value equals the one that came, that stays byte for byte. */
static void take_value(lua_State *lua, int index, struct kv_script_call *call)
{
    struct kv_buffer *canonical = &call->state->scratch;
    call->text.len = 0;
    canonical->len = 0;
    kv_script_write_json(lua, index, call->state->sizes.value, &call->text);
    kv_script_push_json(lua, call->command->value);
    kv_script_write_json(lua, -1, SIZE_MAX, canonical);
    call->value_is_new = !kv_slice_equals(kv_buffer_slice(&call->text), kv_buffer_slice(canonical));
    kv_buffer_trim(canonical, UINT16_MAX);
}

/* The argument for on_start's next call; nil: it is done. */
static void take_progress(lua_State *lua, struct kv_script_call *call)
{
    lua_pop(lua, 1);
    if (!lua_isnil(lua, -1))
        call->state->progress = luaL_ref(lua, LUA_REGISTRYINDEX);
}

/* The results of before_set: none, or a value (nil: unchanged) and possibly a TTL. */
static int take_results(lua_State *lua, int status, lua_KContext context)
{
    struct kv_script_call *call = (struct kv_script_call *)context;
    (void)status;
    if (call->hook == KV_HOOK_ON_START)
        take_progress(lua, call);
    if (call->hook != KV_HOOK_BEFORE_SET)
        return 0;
    call->has_returned = true;
    if (!lua_isnil(lua, -1)) {
        call->new_ttl_ms = kv_argument_ttl(lua, -1);
        call->ttl_is_new = true;
    }
    if (!lua_isnil(lua, -2))
        take_value(lua, lua_absindex(lua, -2), call);
    return 0;
}

static int run_hook(lua_State *lua)
{
    struct kv_script_call *call = lua_touserdata(lua, 1);
    lua_KContext context = (lua_KContext)call;
    lua_rawgeti(lua, LUA_REGISTRYINDEX, call->state->hooks[call->hook].function);
    int n = kv_api_push_arguments(lua, call);
    lua_callk(lua, n, 2, context, take_results);
    return take_results(lua, LUA_OK, context);
}

/* ---- coroutines ---- */

static int make_coroutine(lua_State *lua)
{
    struct kv_script_call *call = lua_touserdata(lua, 1);
    lua_State *fresh = lua_newthread(lua);
    call->coroutine.ref = luaL_ref(lua, LUA_REGISTRYINDEX);
    call->coroutine.lua = fresh;
    return 0;
}

static bool take_coroutine(struct kv_script_call *call, struct kv_error *ret_why)
{
    struct kv_script_state *state = call->state;
    if (state->n_idle == 0)
        return kv_state_protect(state, make_coroutine, call, ret_why);
    call->coroutine = state->idle[--state->n_idle];
    return true;
}

void kv_call_drop_coroutine(struct kv_script_call *call)
{
    if (call->coroutine.lua == NULL)
        return;
    luaL_unref(call->state->lua, LUA_REGISTRYINDEX, call->coroutine.ref);
    call->coroutine.lua = NULL;
}

static void give_coroutine_back(struct kv_script_call *call)
{
    struct kv_script_state *state = call->state;
    if (state->n_idle == KV_SCRIPT_IDLE) {
        kv_call_drop_coroutine(call);
        return;
    }
    state->idle[state->n_idle++] = call->coroutine;
    call->coroutine.lua = NULL;
}

/* ---- outside of the coroutine ---- */

static enum kv_call_state end_badly(struct kv_script_call *call, struct kv_error *ret_why)
{
    enum kv_call_state result = KV_CALL_FAILED;
    struct kv_error error;
    if (call->budget.is_spent) {
        kv_error_set(ret_why, "%s", call->state->meter.reason);
    } else if (kv_api_is_refusal(call->coroutine.lua, -1)) {
        kv_error_set(ret_why, "%.*s", (int)call->text.len, call->text.bytes);
        result = KV_CALL_REFUSED;
    } else {
        kv_state_tell_error(call->coroutine.lua, -1, &error);
        kv_error_set(ret_why, "%s%.1000s", call->has_returned ? "what it returned: " : "",
                     error.text);
    }
    kv_call_drop_coroutine(call);
    return result;
}

static enum kv_call_state resume(struct kv_script_call *call, int n_arguments,
                                 struct kv_error *ret_why)
{
    struct kv_script_state *state = call->state;
    int n_results;
    state->running = call;
    kv_budget_begin(&state->meter, call->coroutine.lua, &call->budget);
    int status = lua_resume(call->coroutine.lua, state->lua, n_arguments, &n_results);
    kv_budget_end(&state->meter);
    state->running = NULL;
    bool has_raised = status != LUA_OK && status != LUA_YIELD;
    if (has_raised || call->budget.is_spent)
        return end_badly(call, ret_why);
    if (status == LUA_YIELD)
        return KV_CALL_WAITS;
    give_coroutine_back(call);
    return KV_CALL_DONE;
}

enum kv_call_state kv_call_start(struct kv_script_call *call, struct kv_error *ret_why)
{
    if (!take_coroutine(call, ret_why))
        return KV_CALL_FAILED;
    lua_pushcfunction(call->coroutine.lua, run_hook);
    lua_pushlightuserdata(call->coroutine.lua, call);
    return resume(call, 1, ret_why);
}

enum kv_call_state kv_call_resume(struct kv_script_call *call, const struct kv_outcome *outcome,
                                  struct kv_error *ret_why)
{
    call->outcome = outcome;
    enum kv_call_state result = resume(call, 0, ret_why);
    call->outcome = NULL;
    return result;
}
