/*
 * The functions of kv that do not access the keyspace, and the arguments of hooks.
 */
#include "script/api.h"

#include <string.h>

#include <lauxlib.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/utf8.h"
#include "script/arguments.h"
#include "script/asking.h"
#include "script/editing.h"
#include "script/log.h"
#include "script/scanning.h"
#include "script/script.h"
#include "script/value.h"
#include "wire/ttl.h"

/* The error of kv.refuse(), as a light userdata; the reason is in the call's `text`. */
static char refusal;

/* ---- arguments of hooks ---- */

static int push_before_set(lua_State *lua, const struct kv_script_call *call, int n_wanted)
{
    const struct kv_command *command = call->command;
    if (n_wanted >= 2)
        kv_script_push_json(lua, command->value);
    if (n_wanted < 3)
        return n_wanted;
    if (command->ttl_is_given)
        lua_pushinteger(lua, (lua_Integer)command->ttl_ms);
    else
        lua_pushnil(lua);
    return 3;
}

static int push_change(lua_State *lua, const struct kv_script_call *call, int n_wanted)
{
    bool is_set = call->hook == KV_HOOK_ON_SET;
    if (n_wanted >= 2)
        kv_script_push_json(lua, call->value.value);
    if (n_wanted >= 3)
        kv_asking_push_meta(lua, call, call->revision, is_set ? call->value.deadline_ms : KV_NEVER);
    if (n_wanted >= 4 && call->previous.revision != 0)
        kv_script_push_json(lua, call->previous.value);
    else if (n_wanted >= 4)
        lua_pushnil(lua);
    return n_wanted;
}

/* The last result of on_start(). */
static int push_progress(lua_State *lua, struct kv_script_state *state)
{
    int progress = state->progress;
    state->progress = LUA_NOREF;
    if (progress == LUA_NOREF) {
        lua_pushnil(lua);
        return 1;
    }
    lua_rawgeti(lua, LUA_REGISTRYINDEX, progress);
    luaL_unref(lua, LUA_REGISTRYINDEX, progress);
    return 1;
}

int kv_api_push_arguments(lua_State *lua, struct kv_script_call *call)
{
    static const int most[KV_N_HOOKS] = {[KV_HOOK_BEFORE_SET] = 3,
                                         [KV_HOOK_BEFORE_DELETE] = 1,
                                         [KV_HOOK_ON_SET] = 4,
                                         [KV_HOOK_ON_DELETE] = 3,
                                         [KV_HOOK_ON_EXPIRE] = 3};
    int n_wanted = kv_state_of(lua)->hooks[call->hook].n_parameters;
    if (call->hook == KV_HOOK_ON_START)
        return push_progress(lua, call->state);
    if (n_wanted > most[call->hook])
        n_wanted = most[call->hook];
    lua_pushlstring(lua, call->key.len == 0 ? "" : call->key.bytes, call->key.len);
    if (n_wanted <= 1)
        return 1;
    return call->hook == KV_HOOK_BEFORE_SET ? push_before_set(lua, call, n_wanted)
                                            : push_change(lua, call, n_wanted);
}

/* ---- other functions ---- */

static int now(lua_State *lua)
{
    lua_pushinteger(lua, kv_wall_us() / 1000);
    return 1;
}

/* kv.duration(text): the milliseconds; or nil and the fault. It reads options, so a unit is
 * required as in the configuration. */
static int duration(lua_State *lua)
{
    struct kv_slice text;
    struct kv_error error;
    int64_t ms;
    const char *what;
    text.bytes = luaL_checklstring(lua, 1, &text.len);
    bool is_duration = kv_duration_parse(text, KV_TTL_MAX_MS, &ms, &what) == 0;
    if (is_duration && kv_duration_check_unit(text, &error) == 0) {
        lua_pushinteger(lua, (lua_Integer)ms);
        return 1;
    }
    lua_pushnil(lua);
    if (is_duration)
        lua_pushstring(lua, error.text);
    else
        lua_pushfstring(lua, "\"%s\" %s", text.bytes, what);
    return 2;
}

/* kv.depth(): the number of hooks in the chain that led to the write or change; 0: a client made
 * it. */
static int depth(lua_State *lua)
{
    lua_pushinteger(lua, kv_argument_hook(lua, "kv.depth")->depth);
    return 1;
}

static void set_text(lua_State *lua, const char *name, struct kv_slice text)
{
    if (text.len == 0)
        return;
    lua_pushlstring(lua, text.bytes, text.len);
    lua_setfield(lua, -2, name);
}

static void set_client(lua_State *lua, const struct kv_command *command)
{
    struct kv_address_text address;
    const struct kv_principal *principal = command->principal;
    if (kv_command_address(command, &address))
        set_text(lua, "address", kv_slice_of(address.text));
    if (principal == NULL)
        return;
    set_text(lua, "name", principal->name);
    set_text(lua, "issuer", principal->issuer);
    if (principal->claims.len == 0)
        return;
    kv_script_push_json(lua, principal->claims);
    lua_setfield(lua, -2, "claims");
}

/* kv.caller(): the sender of the write that a before-hook checks: {name, issuer, claims, address},
 * as far as known, or {script}. */
static int caller(lua_State *lua)
{
    const struct kv_script_call *call = kv_argument_hook(lua, "kv.caller");
    const struct kv_command *command = call->command;
    if (command == NULL)
        return luaL_error(lua, "kv.caller: %s runs after the change, and does not know who made it",
                          kv_hook_names[call->hook]);
    lua_newtable(lua);
    if (command->script != NULL)
        set_text(lua, "script", kv_slice_of(command->script));
    else
        set_client(lua, command);
    return 1;
}

static struct kv_script_state *check_loading(lua_State *lua, const char *function)
{
    struct kv_script_state *state = kv_state_of(lua);
    if (state->first_fault == NULL)
        luaL_error(lua, "%s may be called while the script is loaded only", function);
    return state;
}

/* kv.protect(prefix) */
static int protect(lua_State *lua)
{
    check_loading(lua, "kv.protect");
    kv_state_protect_keys(lua, 1);
    return 0;
}

/* kv.fault(option, text) */
static int fault(lua_State *lua)
{
    struct kv_script_state *state = check_loading(lua, "kv.fault");
    const char *option = kv_argument_text(lua, 1), *text = kv_argument_text(lua, 2);
    if (state->first_fault->text[0] == '\0')
        kv_error_set(state->first_fault, "options%s%s: %s", *option == '\0' ? "" : ".", option,
                     text);
    if (state->faults != NULL)
        state->faults->add(state->faults, state->config, option, text);
    return 0;
}

/* Returns: the index of the first text. */
static int read_level(lua_State *lua, enum kv_log_level *ret)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    *ret = KV_LOG_INFO;
    if (lua_gettop(lua) < 2 || lua_type(lua, 1) != LUA_TSTRING)
        return 1;
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (strcmp(lua_tostring(lua, 1), levels[i]) == 0) {
            *ret = (enum kv_log_level)i;
            return 2;
        }
    return 1;
}

/* A table is written as JSON. */
static int log_line(lua_State *lua)
{
    const struct kv_script_call *call = kv_argument_hook(lua, "kv.log");
    enum kv_log_level level;
    int first = read_level(lua, &level), last = lua_gettop(lua);
    lua_pushliteral(lua, "");
    for (int i = first; i <= last; i++) {
        if (i != first)
            lua_pushliteral(lua, " ");
        if (lua_istable(lua, i)) {
            lua_getfield(lua, lua_upvalueindex(1), "encode");
            lua_pushvalue(lua, i);
            lua_call(lua, 1, 1);
        } else {
            luaL_tolstring(lua, i, NULL);
        }
        lua_concat(lua, i != first ? 3 : 2);
    }
    kv_script_log(call->here, level, lua_tostring(lua, -1));
    return 0;
}

/* The statuses of HTTP that make sense for a write. */
static int read_refusal_status(lua_State *lua)
{
    static const int statuses[] = {400, 403, 404, 409, 413, 422, 429, 503};
    if (!kv_argument_push_option(lua, 2, "status"))
        return 0;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        if (lua_isinteger(lua, -1) && lua_tointeger(lua, -1) == statuses[i])
            return statuses[i];
    return luaL_error(lua, "kv.refuse: status must be 400, 403, 404, 409, 413, 422, 429 or 503");
}

static int64_t read_retry_after(lua_State *lua)
{
    return kv_argument_push_option(lua, 2, "retry_after") ? kv_argument_ttl(lua, -1) : 0;
}

/* kv.refuse(reason, {status, retry_after}) */
static int refuse(lua_State *lua)
{
    static const char *const options[] = {"status", "retry_after", NULL};
    struct kv_script_call *call = kv_argument_hook(lua, "kv.refuse");
    struct kv_slice reason = kv_slice_of(kv_argument_text(lua, 1));
    if (call->command == NULL)
        luaL_error(lua, "kv.refuse: %s runs after the change, which cannot be refused",
                   kv_hook_names[call->hook]);
    kv_argument_check_options(lua, 2, options);
    call->refusal_status = read_refusal_status(lua);
    call->retry_after_ms = read_retry_after(lua);
    call->text.len = 0;
    kv_buffer_append(&call->text, reason);
    lua_pushlightuserdata(lua, &refusal);
    return lua_error(lua);
}

bool kv_api_is_refusal(lua_State *lua, int index)
{
    return lua_touserdata(lua, index) == &refusal;
}

/* ---- kv ---- */

/* Sets the prefixes; only "" if the configuration has none. */
static void set_prefixes(lua_State *lua, const struct kv_script_config *config)
{
    lua_newtable(lua);
    for (size_t i = 0; i < config->n_prefixes; i++) {
        lua_pushlstring(lua, config->prefixes[i].bytes, config->prefixes[i].len);
        lua_rawseti(lua, -2, (lua_Integer)i + 1);
    }
    if (config->n_prefixes == 0) {
        lua_pushliteral(lua, "");
        lua_rawseti(lua, -2, 1);
    }
    lua_setfield(lua, -2, "prefixes");
}

static void set_options(lua_State *lua, const struct kv_script_config *config)
{
    lua_createtable(lua, 0, (int)config->n_options);
    for (size_t i = 0; i < config->n_options; i++) {
        lua_pushlstring(lua, config->options[i].name.bytes, config->options[i].name.len);
        lua_pushlstring(lua, config->options[i].text.bytes, config->options[i].text.len);
        lua_rawset(lua, -3);
    }
    lua_setfield(lua, -2, "options");
}

void kv_api_export(lua_State *lua, const struct kv_script_config *config)
{
    static const luaL_Reg functions[] = {
        {"caller", caller},   {"now", now},       {"depth", depth},
        {"log", log_line},    {"refuse", refuse}, {"duration", duration},
        {"protect", protect}, {"fault", fault},   {NULL, NULL}};
    lua_pushvalue(lua, -1); /* the upvalue of all functions */
    luaL_setfuncs(lua, functions, 1);
    kv_asking_export(lua);
    kv_editing_export(lua);
    kv_scanning_export(lua);
    set_options(lua, config);
    set_prefixes(lua, config);
}
