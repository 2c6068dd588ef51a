#include "script/state.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

enum {
    STACK_SLOTS = 64,
    GC_PAUSE = 150, /* in percent: memory freed soon is still in the cache when it is reused */
    GC_SPEED = 200
};

const char *const kv_hook_names[KV_N_HOOKS] = {
    [KV_HOOK_BEFORE_SET] = "before_set", [KV_HOOK_BEFORE_DELETE] = "before_delete",
    [KV_HOOK_ON_SET] = "on_set",         [KV_HOOK_ON_DELETE] = "on_delete",
    [KV_HOOK_ON_EXPIRE] = "on_expire",   [KV_HOOK_ON_START] = "on_start",
};

/* ---- errors ---- */

void kv_state_tell_error(lua_State *lua, int index, struct kv_error *ret)
{
    const char *text = lua_type(lua, index) == LUA_TSTRING ? lua_tostring(lua, index) : NULL;
    if (text != NULL && strcmp(text, "not enough memory") == 0) /* Lua's text */
        kv_error_set(ret, "%s (the limit is %zu bytes)", text, kv_meter_of(lua)->limits.memory);
    else if (text != NULL)
        kv_error_set(ret, "%s", text);
    else
        kv_error_set(ret, "it raised a %s", luaL_typename(lua, index));
}

bool kv_state_protect(struct kv_script_state *state, int (*function)(lua_State *lua),
                      void *argument, struct kv_error *reterr)
{
    lua_State *lua = state->lua;
    lua_pushcfunction(lua, function);
    lua_pushlightuserdata(lua, argument);
    if (lua_pcall(lua, 1, 0, 0) == LUA_OK)
        return true;
    kv_state_tell_error(lua, -1, reterr);
    lua_pop(lua, 1);
    return false;
}

/* ---- protected keys ---- */

/* The registry keeps the string alive. */
void kv_state_protect_keys(lua_State *lua, int index)
{
    struct kv_script_state *state = kv_state_of(lua);
    struct kv_slice prefix;
    if (state->n_protected == KV_SCRIPT_PROTECTED)
        luaL_error(lua, "more than %d prefixes are protected", KV_SCRIPT_PROTECTED);
    prefix.bytes = luaL_checklstring(lua, index, &prefix.len);
    luaL_argcheck(lua, prefix.len != 0, index, "a prefix is expected");
    lua_pushvalue(lua, index);
    luaL_ref(lua, LUA_REGISTRYINDEX);
    state->protected[state->n_protected++] = prefix;
}

/* ---- creating and destroying ---- */

struct kv_script_state *kv_state_create(const struct kv_script_config *config,
                                        const atomic_bool *is_ending)
{
    struct kv_script_state *state = kv_calloc(1, sizeof(*state));
    kv_meter_init(&state->meter, &config->limits, is_ending);
    state->config = config;
    state->sizes = config->sizes;
    state->n_refs = 1;
    state->progress = LUA_NOREF;
    for (enum kv_hook hook = 0; hook < KV_N_HOOKS; hook++) {
        state->hooks[hook].function = LUA_NOREF;
        state->hooks[hook].n_parameters = -1;
    }
    state->lua = lua_newstate(kv_meter_allocate, &state->meter);
    if (state->lua == NULL || !lua_checkstack(state->lua, STACK_SLOTS)) {
        kv_state_unref(state);
        return NULL;
    }
    kv_meter_attach(&state->meter, state->lua);
    lua_gc(state->lua, LUA_GCINC, GC_PAUSE, GC_SPEED, 0);
    return state;
}

void kv_state_unref(struct kv_script_state *state)
{
    if (state == NULL || --state->n_refs != 0)
        return;
    if (state->lua != NULL)
        lua_close(state->lua);
    kv_buffer_fini(&state->scratch);
    free(state);
}
