/*
 * A call's coroutine is resumed here and nowhere else. What goes in is made on the state's own
 * stack, protected, and moved over; what comes out is read in the same way. A coroutine that has
 * ended well serves the next call; any other is left to the collector.
 */
#include <lauxlib.h>

#include "script/impl.h"
#include "script/value.h"

/* ---- going in ---- */

static void take_coroutine(lua_State *lua, struct kv_script_call *call)
{
    struct kv_script_state *state = call->state;
    if (state->idle == NULL) {
        lua_State *fresh = lua_newthread(lua);
        state->idle_ref = luaL_ref(lua, LUA_REGISTRYINDEX);
        state->idle = fresh;
    }
    call->coroutine = state->idle;
    call->coroutine_ref = state->idle_ref;
    state->idle = NULL;
}

static int prepare(lua_State *lua)
{
    struct kv_script_call *call = lua_touserdata(lua, 1);
    lua_rawgeti(lua, LUA_REGISTRYINDEX, call->state->hooks[call->hook].function);
    int n = kv_api_push_arguments(lua, call);
    take_coroutine(lua, call);
    lua_xmove(lua, call->coroutine, n + 1);
    call->n_arguments = n;
    return 0;
}

static int prepare_outcome(lua_State *lua)
{
    struct kv_script_call *call = lua_touserdata(lua, 1);
    int n = kv_api_push_outcome(lua, call);
    lua_xmove(lua, call->coroutine, n);
    call->n_arguments = n;
    return 0;
}

/* ---- coming out ---- */

void kv_call_drop_coroutine(struct kv_script_call *call)
{
    if (call->coroutine == NULL)
        return;
    luaL_unref(call->state->lua, LUA_REGISTRYINDEX, call->coroutine_ref);
    call->coroutine = NULL;
}

static void give_coroutine_back(struct kv_script_call *call)
{
    struct kv_script_state *state = call->state;
    if (state->idle != NULL) {
        kv_call_drop_coroutine(call);
        return;
    }
    lua_settop(call->coroutine, 0);
    state->idle = call->coroutine;
    state->idle_ref = call->coroutine_ref;
    call->coroutine = NULL;
}

/* A value that says the same as the one that came leaves it as it is, byte for byte. */
static void take_value(lua_State *lua, struct kv_script_call *call)
{
    size_t most = call->state->config->max_value_bytes;
    struct kv_buffer *canonical = &call->state->scratch;
    call->text.len = 0;
    kv_script_write_json(lua, 2, most, &call->text);
    kv_script_push_json(lua, call->command->value);
    canonical->len = 0;
    kv_script_write_json(lua, -1, SIZE_MAX, canonical);
    call->value_is_new = !kv_slice_equals(kv_buffer_slice(&call->text), kv_buffer_slice(canonical));
}

/* What before_set returned: nothing, or a value (nil: as it is) and perhaps a TTL. */
static int take_results(lua_State *lua)
{
    struct kv_script_call *call = lua_touserdata(lua, 1);
    lua_settop(call->coroutine, 2);
    lua_xmove(call->coroutine, lua, 2);
    if (!lua_isnil(lua, 2))
        take_value(lua, call);
    if (!lua_isnil(lua, 3)) {
        call->new_ttl_ms = kv_api_check_ttl(lua, 3);
        call->ttl_is_new = true;
    }
    return 0;
}

static enum kv_call_state end_well(struct kv_script_call *call, int n_results,
                                   struct kv_error *ret_why)
{
    enum kv_call_state result = KV_CALL_DONE;
    if (call->hook == KV_HOOK_BEFORE_SET && n_results != 0) {
        struct kv_error error;
        kv_budget_begin(call->state, &call->budget);
        bool is_taken = kv_state_protect(call->state, take_results, call, &error);
        kv_budget_end(call->state);
        kv_buffer_trim(&call->state->scratch, UINT16_MAX);
        if (!is_taken) {
            kv_error_set(ret_why, "what it returned: %.1000s", error.text);
            result = KV_CALL_FAILED;
        }
    }
    give_coroutine_back(call);
    return result;
}

static enum kv_call_state end_badly(struct kv_script_call *call, struct kv_error *ret_why)
{
    enum kv_call_state result = KV_CALL_FAILED;
    if (!call->budget.is_spent && kv_api_is_refusal(call->coroutine, -1)) {
        kv_error_set(ret_why, "%.*s", (int)call->text.len, call->text.bytes);
        result = KV_CALL_REFUSED;
    } else {
        kv_state_tell_error(call->coroutine, -1, ret_why);
    }
    kv_call_drop_coroutine(call);
    return result;
}

/* The budget may be spent though the coroutine has ended well: where it was in pcall(). */
static enum kv_call_state run(struct kv_script_call *call, struct kv_error *ret_why)
{
    struct kv_script_state *state = call->state;
    int n_results = 0;
    state->running = call;
    kv_budget_begin(state, &call->budget);
    int status = lua_resume(call->coroutine, state->lua, call->n_arguments, &n_results);
    kv_budget_end(state);
    state->running = NULL;
    if (call->budget.is_spent && (status == LUA_OK || status == LUA_YIELD)) {
        kv_error_set(ret_why, "it was stopped, as its budget was spent");
        kv_call_drop_coroutine(call);
        return KV_CALL_FAILED;
    }
    if (status == LUA_YIELD)
        return KV_CALL_WAITS;
    return status == LUA_OK ? end_well(call, n_results, ret_why) : end_badly(call, ret_why);
}

static enum kv_call_state prepare_and_run(struct kv_script_call *call,
                                          int (*function)(lua_State *lua), struct kv_error *ret_why)
{
    kv_budget_begin(call->state, &call->budget);
    bool is_prepared = kv_state_protect(call->state, function, call, ret_why);
    kv_budget_end(call->state);
    if (is_prepared)
        return run(call, ret_why);
    kv_call_drop_coroutine(call);
    return KV_CALL_FAILED;
}

enum kv_call_state kv_call_start(struct kv_script_call *call, struct kv_error *ret_why)
{
    return prepare_and_run(call, prepare, ret_why);
}

enum kv_call_state kv_call_resume(struct kv_script_call *call, const struct kv_outcome *outcome,
                                  struct kv_error *ret_why)
{
    call->outcome = outcome;
    enum kv_call_state result = prepare_and_run(call, prepare_outcome, ret_why);
    call->outcome = NULL;
    return result;
}
