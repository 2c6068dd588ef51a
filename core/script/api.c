/*
 * What scripts call, and what they are called with. A function that asks something of the keyspace
 * describes it in the call's request and yields; hooks.c does it, and the coroutine goes on with
 * what kv_api_push_outcome() pushes.
 */
#include "script/api.h"

#include <string.h>

#include <lauxlib.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/utf8.h"
#include "script/log.h"
#include "script/script.h"
#include "script/value.h"
#include "wire/ttl.h"

/* What kv.refuse() raises, as a light userdata; the reason is in the call's `text`. */
static char refusal;

enum {
    MOST_PENDING = 100000 /* hooks, or eight times limits.pending, while hooks may write */
};

/* ---- arguments ---- */

static struct kv_script_call *check_running(lua_State *lua, const char *function)
{
    struct kv_script_call *call = kv_state_of(lua)->running;
    if (call == NULL)
        luaL_error(lua, "%s may be called by hooks only", function);
    return call;
}

/* A function in C that has called the script can't be left and come back to. */
static struct kv_script_call *check_may_wait(lua_State *lua, const char *function)
{
    struct kv_script_call *call = check_running(lua, function);
    if (!lua_isyieldable(lua))
        luaL_error(lua,
                   "%s waits, and cannot be called from within a call-back of table.sort or "
                   "string.gsub, nor in a metamethod that a library function calls: call it "
                   "before, and keep what it returns in a local",
                   function);
    return call;
}

/* The key stays on the stack. */
static struct kv_slice check_key(lua_State *lua, int index)
{
    struct kv_slice key;
    if (lua_type(lua, index) != LUA_TSTRING)
        luaL_typeerror(lua, index, "string");
    key.bytes = lua_tolstring(lua, index, &key.len);
    luaL_argcheck(lua, key.len <= kv_state_of(lua)->config->max_key_bytes, index,
                  "the key is longer than limits.key");
    luaL_argcheck(lua, kv_utf8_is_valid(key), index, "the key is not UTF-8");
    return key;
}

/* Hooks' writes are not held back; so what they lead to, on whichever loop, has to end in another
 * way. */
static void check_may_write(lua_State *lua, const struct kv_script_call *call)
{
    uint64_t n = kv_script_calls_under_way(call->here->script->scripts);
    if (n >= MOST_PENDING && n / 8 >= call->here->script->config->max_pending)
        luaL_error(lua, "%I hooks are under way: hooks may write no more", (lua_Integer)n);
    if (call->depth >= kv_state_of(lua)->config->max_depth)
        luaL_error(lua, "hooks that lead to hooks are more than %d deep",
                   (int)kv_state_of(lua)->config->max_depth);
}

int64_t kv_api_check_ttl(lua_State *lua, int index)
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

/* The options of a write: a table, and nothing in it that nobody knows. */
static void check_options(lua_State *lua, int index, const char *const names[])
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
static bool push_option(lua_State *lua, int index, const char *name)
{
    if (lua_isnoneornil(lua, index))
        lua_pushnil(lua);
    else
        lua_getfield(lua, index, name);
    return !lua_isnil(lua, -1);
}

static void read_condition(lua_State *lua, int index, struct kv_request *request)
{
    if (push_option(lua, index, "if_revision")) {
        int is_integer;
        request->if_revision = (uint64_t)lua_tointegerx(lua, -1, &is_integer);
        if (!is_integer)
            luaL_error(lua, "if_revision: a revision is expected, not a %s",
                       luaL_typename(lua, -1));
        request->cond |= KV_COND_REVISION;
    }
    if (push_option(lua, index, "if_absent") && lua_toboolean(lua, -1))
        request->cond |= KV_COND_ABSENT;
    lua_pop(lua, 2);
}

/* ---- what is pushed ---- */

static struct kv_keyspace *keyspace_of(const struct kv_script_call *call)
{
    return call->here->script->scripts->keyspace;
}

static void set_integer(lua_State *lua, const char *name, int64_t number)
{
    lua_pushinteger(lua, (lua_Integer)number);
    lua_setfield(lua, -2, name);
}

/* {revision = …, ttl = milliseconds that are left, or nil} */
static void push_meta(lua_State *lua, const struct kv_script_call *call, uint64_t revision,
                      int64_t deadline_ms)
{
    lua_createtable(lua, 0, 2);
    set_integer(lua, "revision", (int64_t)revision);
    if (deadline_ms != KV_NEVER)
        set_integer(lua, "ttl", kv_keyspace_ttl_left_ms(keyspace_of(call), deadline_ms));
}

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
        push_meta(lua, call, call->revision, is_set ? call->value.deadline_ms : KV_NEVER);
    if (n_wanted >= 4 && call->previous.revision != 0)
        kv_script_push_json(lua, call->previous.value);
    else if (n_wanted >= 4)
        lua_pushnil(lua);
    return n_wanted;
}

int kv_api_push_arguments(lua_State *lua, struct kv_script_call *call)
{
    static const int most[KV_N_HOOKS] = {[KV_HOOK_BEFORE_SET] = 3,
                                         [KV_HOOK_BEFORE_DELETE] = 1,
                                         [KV_HOOK_ON_SET] = 4,
                                         [KV_HOOK_ON_DELETE] = 3,
                                         [KV_HOOK_ON_EXPIRE] = 3};
    int n_wanted = kv_state_of(lua)->hooks[call->hook].n_parameters;
    if (n_wanted > most[call->hook])
        n_wanted = most[call->hook];
    lua_pushlstring(lua, call->key.len == 0 ? "" : call->key.bytes, call->key.len);
    if (n_wanted <= 1)
        return 1;
    return call->hook == KV_HOOK_BEFORE_SET ? push_before_set(lua, call, n_wanted)
                                            : push_change(lua, call, n_wanted);
}

/* nil, and why not. */
static int push_fault(lua_State *lua, const char *why)
{
    lua_pushnil(lua);
    lua_pushstring(lua, why);
    return 2;
}

static int push_found(lua_State *lua, const struct kv_script_call *call, const struct kv_item *item)
{
    kv_script_push_json(lua, item->value);
    push_meta(lua, call, item->revision, item->deadline_ms);
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

static int push_outcome(lua_State *lua, const struct kv_script_call *call)
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
    return push_outcome(lua, (const struct kv_script_call *)context);
}

/* The arguments stay on the stack meanwhile. */
static int await_outcome(lua_State *lua, struct kv_script_call *call)
{
    return lua_yieldk(lua, 0, (lua_KContext)call, go_on);
}

/* ---- functions that ask the keyspace ---- */

static int get(lua_State *lua)
{
    struct kv_script_call *call = check_may_wait(lua, "kv.get");
    call->request = (struct kv_request){.kind = KV_REQUEST_GET, .key = check_key(lua, 1)};
    return await_outcome(lua, call);
}

static int set(lua_State *lua)
{
    static const char *const options[] = {"ttl", "if_revision", "if_absent", NULL};
    struct kv_script_call *call = check_may_wait(lua, "kv.set");
    struct kv_request request = {.kind = KV_REQUEST_SET, .key = check_key(lua, 1)};
    luaL_argcheck(lua, !lua_isnoneornil(lua, 2), 2,
                  "a value is expected; kv.null is JSON's null, and kv.delete takes a key away");
    check_options(lua, 3, options);
    check_may_write(lua, call);
    read_condition(lua, 3, &request);
    if (push_option(lua, 3, "ttl")) {
        request.ttl_is_given = true;
        request.ttl_ms = kv_api_check_ttl(lua, -1);
    }
    call->text.len = 0;
    kv_script_write_json(lua, 2, kv_state_of(lua)->config->max_value_bytes, &call->text);
    call->request = request;
    return await_outcome(lua, call);
}

static int delete (lua_State *lua)
{
    static const char *const options[] = {"if_revision", NULL};
    struct kv_script_call *call = check_may_wait(lua, "kv.delete");
    struct kv_request request = {.kind = KV_REQUEST_DELETE, .key = check_key(lua, 1)};
    check_options(lua, 2, options);
    check_may_write(lua, call);
    read_condition(lua, 2, &request);
    call->request = request;
    return await_outcome(lua, call);
}

static int incr(lua_State *lua)
{
    struct kv_script_call *call = check_may_wait(lua, "kv.incr");
    struct kv_request request = {.kind = KV_REQUEST_INCR, .key = check_key(lua, 1)};
    request.by = luaL_optinteger(lua, 2, 1);
    check_may_write(lua, call);
    call->request = request;
    return await_outcome(lua, call);
}

/* ---- the others ---- */

static int now(lua_State *lua)
{
    lua_pushinteger(lua, kv_wall_us() / 1000);
    return 1;
}

/* kv.duration(text): the milliseconds; or nil and what is wrong. It reads options, so a unit is
 * required as it is in the configuration. */
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

/* kv.depth(): of hooks that led to the write or change; 0: a client made it. */
static int depth(lua_State *lua)
{
    lua_pushinteger(lua, check_running(lua, "kv.depth")->depth);
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

static const char *check_text(lua_State *lua, int index)
{
    struct kv_slice text;
    text.bytes = luaL_checklstring(lua, index, &text.len);
    luaL_argcheck(lua, kv_utf8_is_valid(text) && strlen(text.bytes) == text.len, index,
                  "a text is expected");
    return text.bytes;
}

/* kv.fault(option, text) */
static int fault(lua_State *lua)
{
    struct kv_script_state *state = check_loading(lua, "kv.fault");
    const char *option = check_text(lua, 1), *text = check_text(lua, 2);
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
    const struct kv_script_call *call = check_running(lua, "kv.log");
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

/* kv.refuse(reason) */
static int refuse(lua_State *lua)
{
    struct kv_script_call *call = check_running(lua, "kv.refuse");
    struct kv_slice reason = kv_slice_of(check_text(lua, 1));
    if (call->command == NULL)
        luaL_error(lua, "kv.refuse: %s is called for what has happened", kv_hook_names[call->hook]);
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
        {"get", get},           {"set", set},         {"delete", delete}, {"incr", incr},
        {"now", now},           {"depth", depth},     {"log", log_line},  {"refuse", refuse},
        {"duration", duration}, {"protect", protect}, {"fault", fault},   {NULL, NULL}};
    lua_pushvalue(lua, -1); /* the upvalue of all of them */
    luaL_setfuncs(lua, functions, 1);
    set_options(lua, config);
}
