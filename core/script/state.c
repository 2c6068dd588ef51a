#include <stdlib.h>

#include <lauxlib.h>

#include "base/mem.h"
#include "script/guard.h"
#include "script/impl.h"
#include "script/value.h"

enum {
    STACK_SLOTS = 64,
    GC_PAUSE = 150, /* percent: what is freed soon is still in the cache when it is taken again */
    GC_SPEED = 200
};

const char *const kv_hook_names[KV_N_HOOKS] = {
    [KV_HOOK_BEFORE_SET] = "before_set", [KV_HOOK_BEFORE_DELETE] = "before_delete",
    [KV_HOOK_ON_SET] = "on_set",         [KV_HOOK_ON_DELETE] = "on_delete",
    [KV_HOOK_ON_EXPIRE] = "on_expire",
};

/* ---- errors ---- */

void kv_state_tell_error(lua_State *lua, int index, struct kv_error *ret)
{
    const char *text = lua_type(lua, index) == LUA_TSTRING ? lua_tostring(lua, index) : NULL;
    if (text != NULL)
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

/* The registry keeps the string. */
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

/* ---- compiling ---- */

struct text {
    const struct kv_script_config *config;
    struct kv_slice source;
};

static void make_globals(lua_State *lua, const struct kv_script_config *config)
{
    kv_guard_open(lua);
    kv_script_values_init(lua);
    lua_newtable(lua);
    kv_script_values_export(lua, config->max_value_bytes);
    kv_api_export(lua, config);
    lua_setglobal(lua, "kv");
}

static void find_hook(lua_State *lua, enum kv_hook hook)
{
    struct kv_script_state *state = kv_state_of(lua);
    lua_Debug about;
    lua_getglobal(lua, kv_hook_names[hook]);
    if (lua_isnil(lua, -1)) {
        lua_pop(lua, 1);
        return;
    }
    if (!lua_isfunction(lua, -1))
        luaL_error(lua, "%s: %s is no function but a %s", state->config->file, kv_hook_names[hook],
                   luaL_typename(lua, -1));
    lua_pushvalue(lua, -1);
    lua_getinfo(lua, ">u", &about);
    state->hooks[hook].function = luaL_ref(lua, LUA_REGISTRYINDEX);
    state->hooks[hook].n_parameters = about.isvararg ? UINT8_MAX : about.nparams;
}

static void find_hooks(lua_State *lua)
{
    const struct kv_script_state *state = kv_state_of(lua);
    bool has_any = false;
    for (enum kv_hook hook = 0; hook < KV_N_HOOKS; hook++) {
        find_hook(lua, hook);
        has_any = has_any || kv_state_has(state, hook);
    }
    if (!has_any)
        luaL_error(lua,
                   "%s: it defines none of before_set, before_delete, on_set, on_delete and "
                   "on_expire",
                   state->config->file);
}

static int load(lua_State *lua)
{
    const struct text *text = lua_touserdata(lua, 1);
    make_globals(lua, text->config);
    const char *name = lua_pushfstring(lua, "@%s", text->config->file);
    if (luaL_loadbufferx(lua, text->source.bytes, text->source.len, name, "t") != LUA_OK)
        lua_error(lua);
    lua_call(lua, 0, 0);
    find_hooks(lua);
    return 0;
}

static int compile(struct kv_script_state *state, struct kv_slice source, struct kv_error *reterr)
{
    struct kv_script_budget budget = {0};
    struct text text = {.config = state->config, .source = source};
    kv_meter_attach(&state->meter, state->lua);
    if (!lua_checkstack(state->lua, STACK_SLOTS))
        return kv_error_set(reterr, "%s: limits.memory is too little", state->config->file);
    lua_gc(state->lua, LUA_GCINC, GC_PAUSE, GC_SPEED, 0);
    kv_budget_begin(&state->meter, state->lua, &budget);
    bool is_loaded = kv_state_protect(state, load, &text, reterr);
    kv_budget_end(&state->meter);
    if (budget.is_spent)
        return kv_error_set(reterr, "%s", state->meter.reason);
    return is_loaded ? 0 : -1;
}

struct kv_script_state *kv_state_create(const struct kv_script_config *config,
                                        struct kv_slice source, const atomic_bool *is_ending,
                                        struct kv_error *reterr)
{
    struct kv_script_state *state = kv_calloc(1, sizeof(*state));
    kv_meter_init(&state->meter, &config->limits, is_ending);
    state->config = config;
    state->n_refs = 1;
    for (enum kv_hook hook = 0; hook < KV_N_HOOKS; hook++) {
        state->hooks[hook].function = LUA_NOREF;
        state->hooks[hook].n_parameters = -1;
    }
    state->lua = lua_newstate(kv_meter_allocate, &state->meter);
    if (state->lua == NULL)
        kv_error_set(reterr, "%s: limits.memory is too little", config->file);
    if (state->lua == NULL || compile(state, source, reterr) != 0) {
        kv_state_unref(state);
        return NULL;
    }
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
