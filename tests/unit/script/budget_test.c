/*
 * No script runs for long after its budget is exhausted, whichever function of Lua's library does
 * the work. Each case is a script that never ends by itself, run while it is loaded. The limit is
 * measured in processor time, so a busy machine does not matter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <lauxlib.h>

#include "script/load.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SLOWER 20
#else
#define SLOWER 1
#endif

enum {
    LIMIT_MS = 20,
    MOST_MS = 150 * SLOWER
};

/* The budget of each case. */
static const char prelude[] =
    "local s, other = ('x'):rep(4000000) .. 'y', ('x'):rep(4000000) .. 'z'\n"
    "local zeros = ('0'):rep(4000000)\n"
    "local function forever(f, ...) while true do f(...) end end\n"
    "local function loop() while true do end end\n"
    "local function list(n, value)\n"
    "  local t = {} for i = 1, n do t[i] = value or i end return t\n"
    "end\n";

static struct kv_script_config config_with(int64_t instructions, int64_t time_ms)
{
    return (struct kv_script_config){
        .file = "test.lua",
        .name = "script/test.lua",
        .limits = {.instructions = instructions,
                   .time_us = time_ms * 1000,
                   .memory = (size_t)64 << 20},
        .sizes = {.key = 1 << 20, .value = (size_t)256 << 20},
    };
}

static int64_t used_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Returns: how long it ran. ret_why: the reason for which it was stopped. */
static int64_t run(const struct kv_script_config *config, const char *source,
                   struct kv_error *ret_why)
{
    struct kv_buffer text = {0};
    kv_buffer_append(&text, kv_slice_of(prelude));
    kv_buffer_append(&text, kv_slice_of(source));
    int64_t from_ms = used_ms();
    struct kv_script_state *state = kv_script_load(config, kv_buffer_slice(&text), NULL, ret_why);
    int64_t took_ms = used_ms() - from_ms;
    if (state != NULL)
        fail_msg("it was not stopped: %s", source);
    kv_buffer_fini(&text);
    return took_ms;
}

static void expect_stopped_in_time(const char *source)
{
    struct kv_script_config config = config_with(INT64_MAX, LIMIT_MS);
    struct kv_error why = {0};
    int64_t took_ms = run(&config, source, &why);
    if (getenv("KV_TEST_VERBOSE") != NULL)
        print_message("%5d ms  %s\n", (int)took_ms, source);
    if (took_ms > MOST_MS)
        fail_msg("it took %d ms: %s", (int)took_ms, source);
    if (strstr(why.text, "stopped: ") == NULL || strstr(why.text, " the limit of 20 ms") == NULL)
        fail_msg("%s: %s", source, why.text);
}

#define EXPECT_EACH_STOPPED(sources)                                                               \
    for (size_t i = 0; i < sizeof(sources) / sizeof((sources)[0]); i++)                            \
    expect_stopped_in_time((sources)[i])

static void work_on_long_strings_counts(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "forever(string.rep, 'x', 8000000)",
        "forever(string.rep, '', 1 << 40)",
        "forever(string.rep, 'x', 4000000, '-')",
        "forever(string.upper, s)",
        "forever(string.lower, s)",
        "forever(string.reverse, s)",
        "forever(string.sub, s, 2)",
        "forever(string.byte, s, 1, 200000)",
        "forever(string.char, table.unpack(list(100000, 65)))",
        "forever(string.format, '%s%s', s, 1)",
        "forever(string.format, '%q', s)",
        "forever(string.format, ('%99.99f'):rep(1000), table.unpack(list(1000, -1e308)))",
        "forever(string.pack, 's4', s)",
        "forever(string.pack, ('!'):rep(1000000))",
        "forever(string.unpack, 's4', string.pack('s4', s))",
        "forever(string.packsize, ('='):rep(1000000))",
        "forever(string.len, s)",
        "forever(utf8.len, s)",
        "forever(utf8.char, table.unpack(list(100000, 65)))",
        "forever(utf8.codepoint, s, 1, 200000)",
        "forever(utf8.offset, s, 4000000)",
        "while true do for _ in utf8.codes(s) do end end",
        "forever(tonumber, zeros)",
        "forever(tonumber, zeros, 10)",
        "forever(tostring, s)",
        "forever(math.abs, zeros)",
        "while true do local _ = zeros + 1 end",
        "while true do local _ = 1 + zeros end",
        "while true do local _ = zeros | 1 end",
        "while true do local _ = s .. 'x' end",
        "while true do local _ = s == other end",
        "while true do local _ = s < other end",
        "forever(rawequal, s, other)",
        "while true do local _ = ({})[s .. 'x'] end",
        "forever(kv.encode, s)",
        "forever(kv.encode, list(100, s))",
        "forever(kv.decode, '\"' .. s .. '\"')",
        "forever(kv.decode, '[' .. ('1,'):rep(1000000) .. '1]')",
        "forever(kv.decode, (' '):rep(4000000) .. '1')",
        "forever(pcall, error, s)",
        "local t = setmetatable({}, {__name = s}) forever(tostring, t)",
    };
    EXPECT_EACH_STOPPED(sources);
}

static void pattern_matching_counts_its_steps(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "forever(string.find, s, other, 1, true)",
        "forever(string.find, ('x'):rep(4000000), ('x'):rep(100000) .. 'y', 1, true)",
        "forever(string.find, ('x'):rep(100000), ('x'):rep(50000) .. 'y')",
        "forever(string.find, s, '.-.-.-.-b')",
        "forever(string.match, s, '^(x*)%1%1%1b')",
        "forever(string.match, s, '%b()')",
        "forever(string.match, ('('):rep(1000000), '%b()')",
        "forever(string.match, s, ('x?'):rep(100) .. ('x'):rep(100) .. 'b')",
        "forever(string.match, s, '[' .. ('abc'):rep(1000000) .. ']')",
        "while true do for _ in s:gmatch('x-y') do end end",
        "while true do for _ in s:gmatch('') do end end",
        "forever(string.gsub, s, 'x', 'yy')",
        "forever(string.gsub, s, '(z?)x', ('%1'):rep(1000000))",
        "forever(string.gsub, s, '.', pcall)",
        "forever(string.gsub, s, '.', string.upper)",
        "forever(string.gsub, s, '.', {x = 'yy'})",
        "forever(string.gsub, s, '.', setmetatable({}, {__index = function() return 'z' end}))",
    };
    EXPECT_EACH_STOPPED(sources);
}

static void work_on_long_tables_counts(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "local t = list(50000, 'x') forever(table.concat, t, ', ')",
        "local t = list(50000, s) forever(pcall, table.concat, t)",
        "local t = list(50000) forever(table.unpack, t)",
        "local t = list(50000) forever(table.move, t, 1, 50000, 2)",
        "local t = list(50000) forever(table.insert, t, 1, 0)",
        "local t = list(50000) while true do table.remove(t, 1) t[#t + 1] = 1 end",
        "local t = list(50000) while true do local _ = #t end",
        "local t = list(50000) for i = 1, 49999 do t[i] = nil end forever(next, t)",
        "local t = list(50000) for i = 1, 50000 do t[i] = i % 7 end forever(table.sort, t)",
        "local t = list(50000, s) forever(table.sort, t)",
        "local t = list(50000) forever(table.sort, t, rawequal)",
        "local t = list(50000) table.sort(t, loop)",
        "forever(select, '#', table.unpack(list(200000)))",
        "local t = list(50000) forever(kv.encode, t)",
        "local t = {} for i = 1, 100 do t = {t, t} end forever(kv.encode, t)",
        "forever(pcall, function() local t = {} while true do t[#t + 1] = {} end end)",
    };
    EXPECT_EACH_STOPPED(sources);
}

static void the_end_of_a_budget_cannot_be_caught(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "xpcall(function() error('a') end, loop)",
        "xpcall(error, loop)",
        "xpcall(loop, loop)",
        "xpcall(loop, function() return xpcall(error, loop) end)",
        "xpcall(function() xpcall(loop, loop) end, loop)",
        "xpcall(error, function() error('b') end) loop()",
        "xpcall(string.rep, loop, 'x', 1 << 40)",
        "xpcall(function() local t = {} while true do t[#t + 1] = {} end end, loop)",
        "local function deep() return 1 + deep() end xpcall(deep, loop)",
        "local function nest(n) return xpcall(error, function() nest(n + 1) end) end nest(1) "
        "loop()",
        "forever(pcall, loop)",
        "forever(xpcall, loop, error)",
        "forever(pcall, pcall, pcall, loop)",
        "while true do pcall(error, {}) end",
        "local function deep() pcall(deep) pcall(deep) end deep()",
        "local t = {[50000] = 1} for i = 1, 50000 do t[i] = true end\n"
        "for i = 1, 49999 do t[i] = nil end\n"
        "setmetatable(t, {__index = pcall, __call = table.unpack})\n"
        "forever(pcall, table.unpack, t)",
        "local x <close> = setmetatable({}, {__close = loop}) loop()",
        "local x <close> = setmetatable({}, {__close = loop})\n"
        "local y <close> = setmetatable({}, {__close = function() pcall(loop) loop() end}) error()",
        "local function deep(n)\n"
        "  local x <close> = setmetatable({}, {__close = loop})\n"
        "  if n == 0 then loop() end\n"
        "  deep(n - 1)\n"
        "  return 1\n"
        "end\n"
        "forever(pcall, deep, 10000)",
        "forever(pcall, setmetatable({}, {__call = loop}))",
    };
    EXPECT_EACH_STOPPED(sources);
}

static void metamethods_count(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "local t = setmetatable({}, {__index = loop}) local _ = t.x",
        "local t = setmetatable({}, {__newindex = loop}) t.x = 1",
        "local t = setmetatable({}, {__concat = loop}) local _ = t .. 'x'",
        "local t = setmetatable({}, {__tostring = loop}) tostring(t)",
        "local t = setmetatable({}, {__tostring = loop}) string.format('%s', t)",
        "local t = setmetatable({}, {__len = loop}) table.unpack(t)",
        "local t = setmetatable({}, {__len = function() return 1 end, __index = loop}) "
        "table.concat(t)",
        "local t = setmetatable({}, {__eq = loop}) local _ = t == setmetatable({}, "
        "getmetatable(t))",
        "local t = setmetatable({}, {__lt = loop}) table.sort({t, t, t})",
        "local t = setmetatable({}, {__pairs = loop}) for _ in pairs(t) do end",
        "local t = setmetatable({}, {__unm = loop}) local _ = -t",
        "local t = setmetatable({}, {__index = rawget}) pcall(table.unpack, t, 1, 900000) loop()",
        "('x'):gsub('x', loop)",
        "for _ in loop do end",
    };
    EXPECT_EACH_STOPPED(sources);
}

/* Lua runs finalizers without counting instructions, and may collect weak tables for minutes. */
static void scripts_have_no_finalizers_and_no_weak_tables(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "setmetatable({}, {__gc = loop})",
        "getmetatable(kv.array{}).__gc = loop kv.array{}",
        "getmetatable('').__gc = loop",
        "setmetatable({}, {['__mo' .. 'de'] = 'k'})",
        "local t, mt = {}, {} setmetatable(t, mt) mt.__gc = loop getmetatable(t).__gc = loop t = "
        "nil",
        "getmetatable(kv.decode('1e400')).__gc = loop",
    };
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        struct kv_script_config config = config_with(INT64_MAX, 60000);
        struct kv_error why = {0};
        run(&config, sources[i], &why);
        assert_null(strstr(why.text, "stopped: "));
    }
}

/* A chain of weak keys would take the collector quadratic time. */
static void metatable_in_use_cannot_be_made_weak(void **state)
{
    (void)state;
    struct kv_script_config config = config_with(INT64_MAX, LIMIT_MS);
    struct kv_error why = {0};
    assert_true(run(&config,
                    "local mt = {} local t = setmetatable({}, mt)\n"
                    "mt['__mo' .. 'de'] = 'k' getmetatable(t)['__mo' .. 'de'] = 'k'\n"
                    "local last = {}\n"
                    "while true do local next = {} t[last] = next last = next end\n",
                    &why) < MOST_MS);
}

static void metatables_work_as_in_lua(void **state)
{
    (void)state;
    struct kv_script_config config = config_with(INT64_MAX, 60000);
    struct kv_error why = {0};
    struct kv_script_state *script = kv_script_load(
        &config,
        KV_SLICE("local mt = {__index = {x = 1}, __call = function(self, n) return n + 1 end}\n"
                 "local t, u = setmetatable({}, mt), setmetatable({}, mt)\n"
                 "assert(t.x == 1 and t(2) == 3)\n"
                 "assert(getmetatable(t) == mt and getmetatable(u) == mt)\n"
                 "assert(getmetatable(setmetatable(t, nil)) == nil and t.x == nil)\n"
                 "local Base = {} Base.__index = Base\n"
                 "local Class = setmetatable({}, Base) Class.__index = Class\n"
                 "function Base.name() return 'base' end\n"
                 "local object = setmetatable({}, Class)\n"
                 "function Class.size() return 2 end\n"
                 "assert(object.name() == 'base' and object.size() == 2)\n"
                 "mt.__eq = function() return true end\n"
                 "assert(setmetatable({}, mt) == setmetatable({}, mt))\n"
                 "local closed = setmetatable({}, {__metatable = 'none'})\n"
                 "assert(getmetatable(closed) == 'none' and not pcall(setmetatable, closed, {}))\n"
                 "assert(not pcall(setmetatable, kv.array{}, {}))\n"
                 "assert(not pcall(setmetatable, 1, {}) and not pcall(setmetatable, {}, 1))\n"
                 "function on_set() end\n"),
        NULL, &why);
    if (script == NULL)
        fail_msg("%s", why.text);
    kv_state_unref(script);
}

static void allocated_bytes_count_as_instructions_too(void **state)
{
    (void)state;
    struct kv_script_config config = config_with(1000000, 60000);
    struct kv_error why = {0};
    assert_true(run(&config, "forever(string.rep, 'x', 1000000)", &why) < 10 * MOST_MS);
    assert_non_null(strstr(why.text, "exceeded the limit of 1000000 instructions"));
}

static void ending_server_stops_running_scripts(void **state)
{
    (void)state;
    atomic_bool is_ending = true;
    struct kv_script_config config = config_with(INT64_MAX, INT64_MAX / 2000);
    struct kv_error why = {0};
    const struct kv_script_loading loading = {.is_ending = &is_ending};
    assert_null(kv_script_load(&config, KV_SLICE("while true do end"), &loading, &why));
    assert_string_equal(why.text, "test.lua:1: stopped: the server is ending");
}

/* Functions that catch errors still work. */
static void protected_calls_work_as_in_lua(void **state)
{
    (void)state;
    struct kv_script_config config = config_with(INT64_MAX, 60000);
    struct kv_error why = {0};
    struct kv_script_state *script = kv_script_load(
        &config,
        KV_SLICE("local function id(...) return ... end\n"
                 "local function equal(got, ...)\n"
                 "  local want = {...}\n"
                 "  for i = 1, math.max(#got, #want) do assert(got[i] == want[i], want[i]) end\n"
                 "end\n"
                 "equal({pcall(id, 1, nil, 3)}, true, 1, nil, 3)\n"
                 "equal({pcall(error, 'x', 0)}, false, 'x')\n"
                 "equal({pcall(error)}, false, nil)\n"
                 "equal({xpcall(id, error, 1, 2)}, true, 1, 2)\n"
                 "equal({xpcall(id, error)}, true)\n"
                 "equal({xpcall(error, id, 'x', 0)}, false, 'x')\n"
                 "equal({xpcall(error, function(e) return e .. 'y', 2 end, 'x', 0)}, false, 'xy')\n"
                 "equal({xpcall(error, function() error('z', 0) end, 'x', 0)}, false, 'z')\n"
                 "equal({pcall(xpcall, id)}, false,\n"
                 "      \"bad argument #2 to 'xpcall' (function expected, got no value)\")\n"
                 "equal({pcall(pcall)}, false, \"bad argument #1 to 'pcall' (value expected)\")\n"
                 "local function deep() return 1 + deep() end\n"
                 "assert(not pcall(deep))\n"
                 "function on_set() end\n"),
        NULL, &why);
    if (script == NULL)
        fail_msg("%s", why.text);
    kv_state_unref(script);
}

static int sleep_beyond_the_limit(lua_State *lua)
{
    const struct timespec pause = {.tv_nsec = 2 * LIMIT_MS * 1000000};
    (void)lua;
    return nanosleep(&pause, NULL);
}

/* On a busy machine, the thread waits for a processor, as it does here. */
static void time_without_a_processor_does_not_count(void **state)
{
    (void)state;
    struct kv_script_config config = config_with(INT64_MAX, LIMIT_MS);
    struct kv_script_budget budget = {0};
    struct kv_error why = {0};
    struct kv_script_state *script =
        kv_script_load(&config, KV_SLICE("function on_set() end"), NULL, &why);
    assert_non_null(script);
    lua_register(script->lua, "sleep", sleep_beyond_the_limit);
    kv_budget_begin(&script->meter, script->lua, &budget);
    int status = luaL_dostring(script->lua, "local function work() for i = 1, 5000 do end end\n"
                                            "work() sleep() work() sleep() work()");
    kv_budget_end(&script->meter);
    if (status != LUA_OK)
        fail_msg("%s", script->meter.reason);
    assert_true(budget.used_us < LIMIT_MS * 1000);
    kv_state_unref(script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_on_long_strings_counts),
        cmocka_unit_test(pattern_matching_counts_its_steps),
        cmocka_unit_test(work_on_long_tables_counts),
        cmocka_unit_test(the_end_of_a_budget_cannot_be_caught),
        cmocka_unit_test(metamethods_count),
        cmocka_unit_test(scripts_have_no_finalizers_and_no_weak_tables),
        cmocka_unit_test(metatable_in_use_cannot_be_made_weak),
        cmocka_unit_test(metatables_work_as_in_lua),
        cmocka_unit_test(allocated_bytes_count_as_instructions_too),
        cmocka_unit_test(ending_server_stops_running_scripts),
        cmocka_unit_test(protected_calls_work_as_in_lua),
        cmocka_unit_test(time_without_a_processor_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
