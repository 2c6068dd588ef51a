#include "script/value.h"

#include <math.h>
#include <stdlib.h>

#include <lauxlib.h>

#include "script/budget.h"
#include "script/state.h"
#include "script/number.h"
#include "wire/json.h"

static const char array_type[] = "kv.array";

enum {
    WORK_A_VALUE = 32, /* bytes, as an estimate of reading or writing a value */
    WORK_A_NAME = 64,  /* finding and sorting a name */
    WORK_A_CHARACTER = 4
};

void kv_script_values_init(lua_State *lua)
{
    kv_number_init(lua);
    luaL_newmetatable(lua, array_type);
    lua_pushliteral(lua, "array");
    lua_setfield(lua, -2, "__name");
    lua_pushboolean(lua, false); /* so that scripts cannot set a finalizer in it */
    lua_setfield(lua, -2, "__metatable");
    lua_pop(lua, 1);
}

/* ---- JSON to Lua ---- */

/* The text has passed the scanner, so it needs no further checks. */
struct reader {
    lua_State *lua;
    const char *at;
    const char *end;
};

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t' ||
                                        *reader->at == '\n' || *reader->at == '\r'))
        reader->at++;
}

static unsigned hex4(const char *at)
{
    unsigned code = 0;
    for (int i = 0; i < 4; i++) {
        char letter = (char)(at[i] | 0x20);
        code = code << 4 | (unsigned)(at[i] <= '9' ? at[i] - '0' : letter - 'a' + 10);
    }
    return code;
}

static void append_code(luaL_Buffer *out, unsigned code)
{
    char bytes[4];
    size_t n = 0;
    if (code < 0x80) {
        bytes[n++] = (char)code;
    } else if (code < 0x800) {
        bytes[n++] = (char)(0xc0 | code >> 6);
    } else if (code < 0x10000) {
        bytes[n++] = (char)(0xe0 | code >> 12);
        bytes[n++] = (char)(0x80 | (code >> 6 & 0x3f));
    } else {
        bytes[n++] = (char)(0xf0 | code >> 18);
        bytes[n++] = (char)(0x80 | (code >> 12 & 0x3f));
        bytes[n++] = (char)(0x80 | (code >> 6 & 0x3f));
    }
    if (code >= 0x80)
        bytes[n++] = (char)(0x80 | (code & 0x3f));
    luaL_addlstring(out, bytes, n);
}

/* at: after the backslash. Returns: the place after the escape. */
static const char *append_escape(luaL_Buffer *out, const char *at, const char *end)
{
    static const char plain[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    if (*at != 'u') {
        luaL_addchar(out, strchr(plain, *at)[1]);
        return at + 1;
    }
    unsigned code = hex4(at + 1);
    at += 5;
    if (code >= 0xd800 && code < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
        unsigned low = hex4(at + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            at += 6;
        }
    }
    append_code(out, code);
    return at;
}

static void push_escaped(lua_State *lua, const char *at, const char *end)
{
    luaL_Buffer text;
    luaL_buffinit(lua, &text);
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        const char *stop = escape == NULL ? end : escape;
        luaL_addlstring(&text, at, (size_t)(stop - at));
        at = escape == NULL ? end : append_escape(&text, escape + 1, end);
    }
    luaL_pushresult(&text);
}

static void push_string(struct reader *reader)
{
    const char *from = ++reader->at;
    bool has_escapes = false;
    while (*reader->at != '"') {
        has_escapes = has_escapes || *reader->at == '\\';
        reader->at += *reader->at == '\\' ? 2 : 1;
    }
    kv_budget_charge(reader->lua, (size_t)(reader->at - from));
    if (has_escapes)
        push_escaped(reader->lua, from, reader->at);
    else
        lua_pushlstring(reader->lua, from, (size_t)(reader->at - from));
    reader->at++;
}

static void push_value(struct reader *reader, int depth);

static void push_array(struct reader *reader, int depth)
{
    lua_Integer n = 0;
    lua_newtable(reader->lua);
    luaL_setmetatable(reader->lua, array_type);
    reader->at++;
    for (skip_space(reader); *reader->at != ']'; skip_space(reader)) {
        push_value(reader, depth);
        lua_rawseti(reader->lua, -2, ++n);
        skip_space(reader);
        reader->at += *reader->at == ',';
    }
    reader->at++;
}

static void push_object(struct reader *reader, int depth)
{
    lua_newtable(reader->lua);
    reader->at++;
    for (skip_space(reader); *reader->at != '}'; skip_space(reader)) {
        push_string(reader);
        skip_space(reader);
        reader->at++; /* the colon */
        push_value(reader, depth);
        lua_rawset(reader->lua, -3);
        skip_space(reader);
        reader->at += *reader->at == ',';
    }
    reader->at++;
}

static void push_word(struct reader *reader)
{
    switch (*reader->at) {
    case 't':
        lua_pushboolean(reader->lua, true);
        reader->at += 4;
        return;
    case 'f':
        lua_pushboolean(reader->lua, false);
        reader->at += 5;
        return;
    default:
        lua_pushlightuserdata(reader->lua, NULL);
        reader->at += 4;
    }
}

static void push_value(struct reader *reader, int depth)
{
    if (depth > KV_SCRIPT_MAX_DEPTH)
        luaL_error(reader->lua, "the value is nested deeper than %d", KV_SCRIPT_MAX_DEPTH);
    luaL_checkstack(reader->lua, 6, NULL);
    kv_budget_charge(reader->lua, WORK_A_VALUE);
    skip_space(reader);
    const char *from = reader->at;
    switch (*from) {
    case '{':
        push_object(reader, depth + 1);
        return;
    case '[':
        push_array(reader, depth + 1);
        return;
    case '"':
        push_string(reader);
        return;
    case 't':
    case 'f':
    case 'n':
        push_word(reader);
        return;
    default:
        while (reader->at < reader->end && strchr("+-.eE0123456789", *reader->at) != NULL &&
               *reader->at != '\0')
            reader->at++;
        kv_number_push(reader->lua, from, (size_t)(reader->at - from));
    }
}

void kv_script_push_json(lua_State *lua, struct kv_slice json)
{
    struct reader reader = {.lua = lua, .at = json.bytes, .end = json.bytes + json.len};
    push_value(&reader, 0);
}

/* ---- Lua to JSON ---- */

struct writer {
    lua_State *lua;
    struct kv_buffer *out;
    size_t max_bytes;
};

static void write_value(struct writer *writer, int index, int depth);

static void write_float(struct writer *writer, double number)
{
    char text[KV_NUMBER_LONGEST];
    if (!isfinite(number))
        luaL_error(writer->lua, "a number that is not finite cannot be converted to JSON");
    kv_number_write(number, text);
    kv_buffer_append(writer->out, kv_slice_of(text));
}

static void write_number(struct writer *writer, int index)
{
    if (lua_isinteger(writer->lua, index))
        kv_buffer_printf(writer->out, LUA_INTEGER_FMT, lua_tointeger(writer->lua, index));
    else
        write_float(writer, lua_tonumber(writer->lua, index));
}

/* The length of the UTF-8 character that begins here; 0: none. Lone surrogates count as
 * characters. */
static size_t character(const unsigned char *at, size_t len)
{
    size_t n = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (n == 0 || n > len || at[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90) ||
        (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return n;
}

static bool is_surrogate(const unsigned char *at)
{
    return at[0] == 0xed && at[1] >= 0xa0;
}

static void write_ascii(struct kv_buffer *out, unsigned char letter)
{
    static const char short_escapes[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    const char *found = letter == 0 ? NULL : strchr(short_escapes, letter);
    if (letter >= 0x20 && letter != '"' && letter != '\\') {
        kv_buffer_append_char(out, (char)letter);
    } else if (found != NULL) {
        kv_buffer_append_char(out, '\\');
        kv_buffer_append_char(out, found[1]);
    } else {
        kv_buffer_printf(out, "\\u%04x", letter);
    }
}

static void write_string(struct writer *writer, const char *text, size_t len)
{
    struct kv_buffer *out = writer->out;
    const unsigned char *at = (const unsigned char *)text, *end = at + len;
    kv_budget_charge(writer->lua, len * WORK_A_CHARACTER);
    kv_buffer_append_char(out, '"');
    while (at < end) {
        size_t n = character(at, (size_t)(end - at));
        if (n == 0)
            luaL_error(writer->lua, "a string that is not UTF-8 cannot be converted to JSON");
        if (n == 1)
            write_ascii(out, *at);
        else if (n == 3 && is_surrogate(at))
            kv_buffer_printf(out, "\\u%04x", 0xd000 | (at[1] & 0x3f) << 6 | (at[2] & 0x3f));
        else
            kv_buffer_append(out, (struct kv_slice){(const char *)at, n});
        at += n;
    }
    kv_buffer_append_char(out, '"');
}

static bool is_marked_array(lua_State *lua, int index)
{
    if (!lua_getmetatable(lua, index))
        return false;
    luaL_getmetatable(lua, array_type);
    bool is_same = lua_rawequal(lua, -1, -2);
    lua_pop(lua, 2);
    return is_same;
}

/* The number of members of the table; *ret_n_strings: how many of their keys are strings. */
static size_t count_members(lua_State *lua, int index, size_t *ret_n_strings)
{
    size_t n = 0;
    *ret_n_strings = 0;
    for (lua_pushnil(lua); lua_next(lua, index) != 0; lua_pop(lua, 1)) {
        *ret_n_strings += lua_type(lua, -2) == LUA_TSTRING;
        n++;
    }
    return n;
}

static void write_array(struct writer *writer, int index, size_t n, int depth)
{
    kv_buffer_append_char(writer->out, '[');
    for (size_t i = 1; i <= n; i++) {
        if (i != 1)
            kv_buffer_append_char(writer->out, ',');
        if (lua_rawgeti(writer->lua, index, (lua_Integer)i) == LUA_TNIL)
            luaL_error(writer->lua, "an array has no element %d of %d", (int)i, (int)n);
        write_value(writer, lua_gettop(writer->lua), depth);
        lua_pop(writer->lua, 1);
    }
    kv_buffer_append_char(writer->out, ']');
}

static int by_bytes(const void *a, const void *b)
{
    return kv_slice_compare(*(const struct kv_slice *)a, *(const struct kv_slice *)b);
}

/* The names are valid as long as they are in the table. */
static struct kv_slice *push_sorted_names(lua_State *lua, int index, size_t n)
{
    struct kv_slice *names = lua_newuserdatauv(lua, (n + 1) * sizeof(*names), 0);
    size_t i = 0;
    for (lua_pushnil(lua); lua_next(lua, index) != 0 && i < n; lua_pop(lua, 1), i++)
        names[i].bytes = lua_tolstring(lua, -2, &names[i].len);
    qsort(names, n, sizeof(*names), by_bytes);
    return names;
}

static void write_object(struct writer *writer, int index, size_t n, int depth)
{
    lua_State *lua = writer->lua;
    kv_budget_charge(lua, n * WORK_A_NAME);
    const struct kv_slice *names = push_sorted_names(lua, index, n);
    kv_buffer_append_char(writer->out, '{');
    for (size_t i = 0; i < n; i++) {
        if (i != 0)
            kv_buffer_append_char(writer->out, ',');
        write_string(writer, names[i].bytes, names[i].len);
        kv_buffer_append_char(writer->out, ':');
        lua_pushlstring(lua, names[i].bytes, names[i].len);
        lua_rawget(lua, index);
        write_value(writer, lua_gettop(lua), depth);
        lua_pop(lua, 1);
    }
    kv_buffer_append_char(writer->out, '}');
    lua_pop(lua, 1);
}

static void write_table(struct writer *writer, int index, int depth)
{
    lua_State *lua = writer->lua;
    size_t n_strings;
    if (depth > KV_SCRIPT_MAX_DEPTH)
        luaL_error(lua, "the table is nested deeper than %d", KV_SCRIPT_MAX_DEPTH);
    luaL_checkstack(lua, 8, NULL);
    size_t n = count_members(lua, index, &n_strings);
    if (n_strings != 0 && n_strings != n)
        luaL_error(lua, "a table with both elements 1…n and names is neither an array nor an "
                        "object");
    if (is_marked_array(lua, index) || n_strings != n)
        write_array(writer, index, n, depth);
    else
        write_object(writer, index, n, depth);
}

static void write_value(struct writer *writer, int index, int depth)
{
    lua_State *lua = writer->lua;
    const char *text;
    size_t len;
    kv_budget_charge(lua, WORK_A_VALUE);
    if (writer->out->len > writer->max_bytes)
        luaL_error(lua, "the value is longer than %I bytes", (lua_Integer)writer->max_bytes);
    switch (lua_type(lua, index)) {
    case LUA_TBOOLEAN:
        kv_buffer_append(writer->out,
                         lua_toboolean(lua, index) ? KV_SLICE("true") : KV_SLICE("false"));
        return;
    case LUA_TNUMBER:
        write_number(writer, index);
        return;
    case LUA_TSTRING:
        text = lua_tolstring(lua, index, &len);
        write_string(writer, text, len);
        return;
    case LUA_TTABLE:
        write_table(writer, index, depth + 1);
        return;
    case LUA_TLIGHTUSERDATA:
        kv_buffer_append(writer->out, KV_SLICE("null"));
        return;
    default:
        text = kv_number_text(lua, index);
        if (text == NULL)
            luaL_error(lua, "a %s cannot be converted to JSON", luaL_typename(lua, index));
        else
            kv_buffer_append(writer->out, kv_slice_of(text));
    }
}

void kv_script_write_json(lua_State *lua, int index, size_t max_bytes, struct kv_buffer *out)
{
    struct writer writer = {.lua = lua, .out = out, .max_bytes = max_bytes};
    write_value(&writer, lua_absindex(lua, index), 0);
    if (out->len > max_bytes)
        luaL_error(lua, "the value is longer than %I bytes", (lua_Integer)max_bytes);
}

/* ---- functions for scripts ---- */

/* kv.array(t): marks it as an array, and returns it. */
static int make_array(lua_State *lua)
{
    if (lua_isnoneornil(lua, 1))
        lua_newtable(lua);
    else
        luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_setmetatable(lua, array_type);
    return 1;
}

static int is_array(lua_State *lua)
{
    lua_pushboolean(lua, lua_istable(lua, 1) && is_marked_array(lua, 1));
    return 1;
}

/* kv.tonumber(x): also converts numbers that are kept as texts. */
static int to_number(lua_State *lua)
{
    kv_number_push_float(lua, 1);
    if (!lua_isnumber(lua, -1))
        lua_pushnil(lua);
    return 1;
}

static int free_buffer(lua_State *lua)
{
    kv_buffer_fini(lua_touserdata(lua, 1));
    return 0;
}

/* A buffer that is freed with the stack, even after an error. */
static struct kv_buffer *push_buffer(lua_State *lua)
{
    struct kv_buffer *buffer = lua_newuserdatauv(lua, sizeof(*buffer), 0);
    *buffer = (struct kv_buffer){0};
    if (luaL_newmetatable(lua, "kv.buffer")) {
        lua_pushcfunction(lua, free_buffer);
        lua_setfield(lua, -2, "__gc");
    }
    lua_setmetatable(lua, -2);
    return buffer;
}

static int encode(lua_State *lua)
{
    size_t max_bytes = kv_state_of(lua)->sizes.value;
    luaL_checkany(lua, 1);
    struct kv_buffer *out = push_buffer(lua);
    kv_script_write_json(lua, 1, max_bytes, out);
    lua_pushlstring(lua, out->bytes, out->len);
    return 1;
}

static int decode(lua_State *lua)
{
    struct kv_json_error error;
    struct kv_slice text, value;
    text.bytes = luaL_checklstring(lua, 1, &text.len);
    kv_budget_charge(lua, text.len);
    if (kv_json_check(text, KV_SCRIPT_MAX_DEPTH, &value, &error) != 0)
        return luaL_error(lua, "bad JSON at byte %d: %s", (int)error.offset, error.what);
    kv_script_push_json(lua, value);
    return 1;
}

void kv_script_values_export(lua_State *lua)
{
    static const luaL_Reg functions[] = {{"array", make_array},   {"is_array", is_array},
                                         {"tonumber", to_number}, {"encode", encode},
                                         {"decode", decode},      {NULL, NULL}};
    luaL_setfuncs(lua, functions, 0);
    lua_pushlightuserdata(lua, NULL);
    lua_setfield(lua, -2, "null");
}
