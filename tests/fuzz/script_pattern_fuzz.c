/*
 * Patterns: string.find, match, gmatch and gsub of scripts give the same results as Lua's own
 * library, if that accepts the pattern and is fast enough. The first line is the pattern, the rest
 * is the subject.
 */
#include <stdlib.h>

#include <lauxlib.h>
#include <lualib.h>

#include "fuzz.h"
#include "script/load.h"

enum {
    LONGEST_PATTERN = 40,
    LONGEST_SUBJECT = 40,
    MOST_REPETITIONS = 4
};

/* The results of all functions, as one text. */
static const char script[] =
    "local pattern, subject = ...\n"
    "local all = {}\n"
    "local function add(...)\n"
    "  for i = 1, select('#', ...) do\n"
    "    local one = select(i, ...)\n"
    "    all[#all + 1] = math.type(one) or type(one)\n"
    "    all[#all + 1] = tostring(one)\n"
    "  end\n"
    "  all[#all + 1] = ';'\n"
    "end\n"
    "for start = -2, 3 do\n"
    "  add(string.find(subject, pattern, start))\n"
    "  add(string.match(subject, pattern, start))\n"
    "  for a, b, c in string.gmatch(subject, pattern, start) do add(a, b, c) end\n"
    "end\n"
    "add(string.find(subject, pattern, 1, true))\n"
    "add(string.gsub(subject, pattern, '<%0|%1|%%>'))\n"
    "add(string.gsub(subject, pattern, '-', 2))\n"
    "add(string.gsub(subject, pattern, {a = 'b', [1] = 2, b = false}))\n"
    "add(string.gsub(subject, pattern, function(a, b) return b end))\n"
    "return table.concat(all, ' ')\n";

struct run {
    struct kv_slice pattern, subject;
    char *result; /* NULL: an error was raised */
    size_t len;
};

static int run(lua_State *lua)
{
    struct run *run = lua_touserdata(lua, 1);
    if (luaL_loadstring(lua, script) != LUA_OK)
        lua_error(lua);
    lua_pushlstring(lua, run->pattern.bytes, run->pattern.len);
    lua_pushlstring(lua, run->subject.bytes, run->subject.len);
    lua_call(lua, 2, 1);
    const char *result = lua_tolstring(lua, -1, &run->len);
    run->result = malloc(run->len + 1);
    memcpy(run->result, result, run->len + 1);
    return 0;
}

static void run_ours(struct run *mine)
{
    const struct kv_script_config config = {
        .file = "fuzz",
        .limits = {.instructions = INT64_MAX, .time_us = INT64_MAX / 2, .memory = SIZE_MAX / 2}};
    struct kv_error why;
    struct kv_script_state *state =
        kv_script_load(&config, KV_SLICE("function on_set() end"), NULL, &why);
    kv_state_protect(state, run, mine, &why);
    kv_state_unref(state);
}

static void run_theirs(struct run *theirs)
{
    lua_State *lua = luaL_newstate();
    luaL_openlibs(lua);
    lua_pushcfunction(lua, run);
    lua_pushlightuserdata(lua, theirs);
    lua_pcall(lua, 1, 0, 0);
    lua_close(lua);
}

/* Ranges that end in a class are undefined; other patterns take too long in Lua's matcher. */
static bool is_comparable(struct kv_slice pattern)
{
    int n = 0;
    for (size_t i = 0; i < pattern.len; i++) {
        n += memchr("*+-?%", pattern.bytes[i], 5) != NULL;
        if (i + 1 < pattern.len && memcmp(pattern.bytes + i, "-%", 2) == 0)
            return false;
    }
    return n <= MOST_REPETITIONS * 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kv_slice text = fuzz_slice(bytes, len), pattern = text, subject = {"", 0};
    const char *end = len == 0 ? NULL : memchr(text.bytes, '\n', len);
    if (end != NULL) {
        pattern.len = (size_t)(end - text.bytes);
        subject = (struct kv_slice){end + 1, len - pattern.len - 1};
    }
    if (pattern.len > LONGEST_PATTERN || subject.len > LONGEST_SUBJECT || !is_comparable(pattern))
        return 0;
    struct run mine = {.pattern = pattern, .subject = subject}, theirs = mine;
    run_ours(&mine);
    run_theirs(&theirs);
    if (mine.result != NULL && theirs.result != NULL) {
        assert(mine.len == theirs.len);
        assert(memcmp(mine.result, theirs.result, mine.len) == 0);
    }
    free(mine.result);
    free(theirs.result);
    return 0;
}
