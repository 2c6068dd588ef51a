#include "script/load.h"

#include <string.h>

#include <lauxlib.h>

#include "script/api.h"
#include "script/guard.h"
#include "script/value.h"

struct text {
    const struct kv_script_config *config;
    struct kv_slice source;
};

static void make_globals(lua_State *lua, const struct kv_script_config *config)
{
    kv_guard_open(lua);
    kv_script_values_init(lua);
    lua_newtable(lua);
    kv_script_values_export(lua);
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
        luaL_error(lua, "%s: %s must be a function, not a %s", state->config->file,
                   kv_hook_names[hook], luaL_typename(lua, -1));
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
                   "%s: it defines none of before_set, before_delete, on_set, on_delete, "
                   "on_expire and on_start",
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

static bool has_fault(const struct kv_script_state *state)
{
    return state->first_fault->text[0] != '\0';
}

/* An error without a line, as from error(text, 0), does not show where it comes from. */
static int name_script(const struct kv_script_config *config, struct kv_error *reterr)
{
    const char *slash = strrchr(config->file, '/');
    const char *name = slash == NULL ? config->file : slash + 1;
    const char *at = strstr(reterr->text, name);
    struct kv_error unnamed = *reterr;
    if (at == NULL || at[strlen(name)] != ':')
        kv_error_set(reterr, "%s: %s", config->file, unnamed.text);
    return -1;
}

/* An error after a fault of an option is likely its consequence. */
static int tell_fault(struct kv_script_state *state, struct kv_error *reterr)
{
    *reterr = *state->first_fault;
    if (state->faults == NULL)
        return name_script(state->config, reterr);
    reterr->text[0] = '\0';
    return -1;
}

static int run(struct kv_script_state *state, struct kv_slice source, struct kv_error *reterr)
{
    struct kv_script_budget budget = {0};
    struct kv_error first_fault = {0};
    struct text text = {.config = state->config, .source = source};
    state->first_fault = &first_fault;
    kv_budget_begin(&state->meter, state->lua, &budget);
    bool is_loaded = kv_state_protect(state, load, &text, reterr);
    kv_budget_end(&state->meter);
    int result = 0;
    if (budget.is_spent)
        kv_error_set(reterr, "%s", state->meter.reason);
    if (has_fault(state))
        result = tell_fault(state, reterr);
    else if (budget.is_spent || !is_loaded)
        result = name_script(state->config, reterr);
    state->first_fault = NULL;
    state->faults = NULL;
    return result;
}

struct kv_script_state *kv_script_load(const struct kv_script_config *config,
                                       struct kv_slice source,
                                       const struct kv_script_loading *loading,
                                       struct kv_error *reterr)
{
    struct kv_script_state *state =
        kv_state_create(config, loading == NULL ? NULL : loading->is_ending);
    if (state == NULL) {
        kv_error_set(reterr, "%s: limits.memory is too little", config->file);
        return NULL;
    }
    state->faults = loading == NULL ? NULL : loading->faults;
    if (run(state, source, reterr) != 0) {
        kv_state_unref(state);
        return NULL;
    }
    return state;
}
