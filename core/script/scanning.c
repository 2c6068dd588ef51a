/*
 * kv.scan(): an iterator that requests a page of keys from the keyspace whenever it has none left.
 * The values of a page stay texts until they are returned.
 */
#include "script/scanning.h"

#include <lauxlib.h>

#include "keyspace/cursor.h"
#include "script/arguments.h"
#include "script/asking.h"
#include "script/script.h"
#include "script/value.h"

enum {
    PAGE_KEYS = 100
};

/* Upvalues of the iterator. */
enum {
    SCAN = 1,
    PREFIX,
    CURSOR, /* a string; empty: from the beginning */
    KEYS,   /* of the page: lists of strings, of texts (nil: not wanted) */
    VALUES,
    N_UPVALUES = VALUES
};

struct entry {
    uint64_t revision;
    int64_t deadline_ms;
};

struct scan {
    int64_t left; /* keys that may still be returned */
    bool wants_values;
    bool is_last; /* there is no further page */
    uint32_t n;   /* keys of this page */
    uint32_t at;
    struct entry entries[PAGE_KEYS];
};

/* ---- entries ---- */

static struct kv_slice string_at(lua_State *lua, int index)
{
    struct kv_slice slice;
    slice.bytes = lua_tolstring(lua, index, &slice.len);
    return slice;
}

/* Pushes the key, its value or nil, and its meta. */
static int push_entry(lua_State *lua, const struct kv_script_call *call, struct scan *scan)
{
    const struct entry *entry = &scan->entries[scan->at++];
    scan->left--;
    lua_rawgeti(lua, lua_upvalueindex(KEYS), scan->at);
    lua_rawgeti(lua, lua_upvalueindex(VALUES), scan->at);
    if (scan->wants_values) {
        kv_script_push_json(lua, string_at(lua, -1));
        lua_remove(lua, -2);
    }
    kv_asking_push_meta(lua, call, entry->revision, entry->deadline_ms);
    return 3;
}

static void set_string(lua_State *lua, int list, uint32_t at, struct kv_slice text)
{
    lua_pushlstring(lua, text.len == 0 ? "" : text.bytes, text.len);
    lua_rawseti(lua, list, at);
}

static void take_page(lua_State *lua, struct scan *scan, const struct kv_page *page)
{
    struct kv_slice cursor = kv_buffer_slice(&page->cursor);
    scan->n = scan->at = 0;
    for (uint32_t i = 0; i < page->n; i++) {
        const struct kv_scan_entry *entry = &page->entries[i];
        scan->entries[i] = (struct entry){entry->item.revision, entry->item.deadline_ms};
        set_string(lua, lua_upvalueindex(KEYS), i + 1, entry->key);
        if (scan->wants_values)
            set_string(lua, lua_upvalueindex(VALUES), i + 1, entry->item.value);
    }
    lua_pushlstring(lua, cursor.len == 0 ? "" : cursor.bytes, cursor.len);
    lua_replace(lua, lua_upvalueindex(CURSOR));
    scan->is_last = cursor.len == 0;
    scan->n = page->n;
}

/* ---- pages ---- */

static int next_entry(lua_State *lua);

static int page_is_read(lua_State *lua, int status, lua_KContext context)
{
    const struct kv_script_call *call = (const struct kv_script_call *)context;
    const struct kv_command *command = call->outcome->command;
    (void)status;
    if (command->status == KV_BAD_CURSOR)
        luaL_error(lua, "kv.scan: the store lists keys in no order, which `after` needs");
    if (command->status != KV_OK)
        luaL_error(lua, "kv.scan: %s", kv_command_status_text(command->status));
    take_page(lua, lua_touserdata(lua, lua_upvalueindex(SCAN)), command->page);
    return next_entry(lua);
}

static int ask_for_page(lua_State *lua, struct kv_script_call *call, const struct scan *scan)
{
    call->request = (struct kv_request){
        .kind = KV_REQUEST_SCAN,
        .key = string_at(lua, lua_upvalueindex(PREFIX)),
        .cursor = string_at(lua, lua_upvalueindex(CURSOR)),
        .max_keys = scan->left < PAGE_KEYS ? (uint32_t)scan->left : PAGE_KEYS,
        .wants_values = scan->wants_values,
    };
    return lua_yieldk(lua, 0, (lua_KContext)call, page_is_read);
}

static int next_entry(lua_State *lua)
{
    struct scan *scan = lua_touserdata(lua, lua_upvalueindex(SCAN));
    if (scan->left != 0 && scan->at < scan->n)
        return push_entry(lua, kv_argument_hook(lua, "kv.scan"), scan);
    if (scan->left != 0 && !scan->is_last)
        return ask_for_page(lua, kv_argument_waiter(lua, "kv.scan"), scan);
    lua_pushnil(lua);
    return 1;
}

/* ---- functions for scripts ---- */

static int64_t read_limit(lua_State *lua, int index)
{
    int is_integer = 1;
    lua_Integer limit = INT64_MAX;
    if (kv_argument_push_option(lua, index, "limit"))
        limit = lua_tointegerx(lua, -1, &is_integer);
    if (!is_integer || limit < 1)
        luaL_error(lua, "limit: a number of keys is expected, 1 or more");
    lua_pop(lua, 1);
    return limit;
}

/* Pushes the cursor that begins after the key at the top: its start is the key with an appended
 * zero byte. */
static void push_cursor_behind(lua_State *lua, struct kv_script_call *call, struct kv_slice prefix)
{
    struct kv_cursor cursor = {.kind = KV_CURSOR_START, .prefix = prefix};
    struct kv_slice after = {0};
    if (lua_type(lua, -1) == LUA_TSTRING)
        after = string_at(lua, -1);
    if (after.bytes == NULL || !kv_slice_has_prefix(after, prefix))
        luaL_error(lua, "after: a key that begins with the prefix is expected");
    cursor.start = (struct kv_slice){after.bytes, after.len + 1}; /* with Lua's final NUL */
    call->text.len = 0;
    if (!kv_cursor_write(&call->text, &cursor))
        luaL_error(lua, "not enough memory");
    lua_pushlstring(lua, call->text.bytes, call->text.len);
}

/* kv.scan(prefix [, {limit, values, after}]) */
static int scan(lua_State *lua)
{
    static const char *const options[] = {"limit", "values", "after", NULL};
    struct kv_script_call *call = kv_argument_waiter(lua, "kv.scan");
    struct kv_slice prefix = kv_argument_key(lua, 1);
    kv_argument_check_options(lua, 2, options);
    int64_t limit = read_limit(lua, 2);
    kv_argument_push_option(lua, 2, "values");
    bool wants_values = lua_toboolean(lua, -1);
    struct scan *scan = lua_newuserdatauv(lua, sizeof(*scan), 0);
    *scan = (struct scan){.left = limit, .wants_values = wants_values};
    lua_pushvalue(lua, 1);
    if (kv_argument_push_option(lua, 2, "after"))
        push_cursor_behind(lua, call, prefix);
    else
        lua_pushliteral(lua, "");
    lua_remove(lua, -2);
    lua_newtable(lua);
    lua_newtable(lua);
    lua_pushcclosure(lua, next_entry, N_UPVALUES);
    return 1;
}

void kv_scanning_export(lua_State *lua)
{
    lua_pushcfunction(lua, scan);
    lua_setfield(lua, -2, "scan");
}
