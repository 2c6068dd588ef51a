/*
 * Lua hooks as users write them. Each test has a server and scripts of its own; if only Lua can
 * check a result, the script asserts it and writes the outcome to a key.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/folder.h"

/* Enough to count to 100,000. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define IS_QUICK false
#else
#define IS_QUICK true
#endif

struct rig {
    struct kv_test_server server;
    char *folder;
};

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig->folder = kv_test_folder_make();
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    kv_test_folder_remove(rig->folder);
    free(rig->folder);
    free(rig);
    return 0;
}

#define SCRIPT "scripts: [{file: '%s/hooks.lua'}]\n"

static void write_script(struct rig *rig, const char *text)
{
    kv_test_file_put(rig->folder, "hooks.lua", text);
}

static uint16_t start_with(struct rig *rig, const char *yaml, const char *script)
{
    write_script(rig, script);
    kv_test_start_in(&rig->server, rig->folder, yaml);
    return rig->server.port;
}

static uint16_t start(struct rig *rig, const char *script)
{
    return start_with(rig, SCRIPT, script);
}

static void stop(struct rig *rig)
{
    kv_test_server_stop_cleanly(&rig->server);
}

/* Stops it; what it logged has this part. */
static void stop_and_expect(struct rig *rig, const char *part)
{
    kv_test_server_terminate(&rig->server);
    assert_int_equal(kv_test_server_await_end(&rig->server), 0);
    char *log = kv_test_server_log(&rig->server);
    if (strstr(log, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, log);
    kv_test_server_stop_cleanly(&rig->server);
    free(log);
}

static void reload(struct rig *rig)
{
    for (struct kv_test_server *one = &rig->server; one != NULL; one = one->twin)
        kill(one->program.pid, SIGHUP);
}

/* Reloads; each server says so. */
static void reload_and_await(struct rig *rig, const char *part)
{
    reload(rig);
    kv_test_await_log(&rig->server, part);
    if (rig->server.twin != NULL)
        kv_test_await_log(rig->server.twin, part);
}

/* Writes; body: the members of the message. */
static void post(uint16_t port, const char *path, const char *body, int status)
{
    assert_int_equal(kv_test_http_status(port, "POST", path, NULL, body), status);
}

/* The same, refused: the answer has this text. */
static void expect_refusal(uint16_t port, const char *method, const char *path, const char *body,
                           const char *text)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    struct kv_buffer expected = {0};
    kv_test_stream_open(&stream, port);
    assert_int_equal(kv_test_http_ask(&stream, method, path, NULL, body, &response), 403);
    kv_buffer_printf(&expected, "{\"error\":\"%s\"}", text);
    assert_int_equal(response.body.len, expected.len);
    assert_memory_equal(response.body.bytes, expected.bytes, expected.len);
    kv_buffer_fini(&expected);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void delete_key(uint16_t port, const char *path)
{
    assert_int_equal(kv_test_http_status(port, "DELETE", path, NULL, NULL), 200);
}

/* ---- before a write ---- */

static void before_set_may_change_value_and_ttl(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start(rig, "function before_set(key, value, ttl)\n"
                               "  value.was = ttl or 'none'\n"
                               "  value.z, value.a = value.a, value.z\n"
                               "  return value, '1h'\n"
                               "end\n");
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    post(port, "/storage/k", "{\"value\":{\"z\":1,\"a\":[]}}", 202);
    kv_test_expect_value(port, "k", "{\"a\":1,\"was\":\"none\",\"z\":[]}");
    post(port, "/storage/k", "{\"value\":{},\"ttl\":\"10 s\"}", 202);
    kv_test_expect_value(port, "k", "{\"was\":10000}");
    kv_test_stream_open(&stream, port);
    kv_test_http_ask(&stream, "GET", "/storage/k", NULL, NULL, &response);
    int64_t left_ms = strtoll(kv_test_response_header(&response, "kv-ttl"), NULL, 10);
    assert_true(left_ms > 3500000 && left_ms <= 3600000);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    stop(rig);
}

static void values_that_a_hook_does_not_change_keep_their_bytes(void **state)
{
    static const char *const values[] = {
        "{\"b\" : 1.0,  \"a\":[1e400, 123456789012345678901234567890]}",
        "[]",
        "{}",
        "null",
        " [ {} , [] , null , false ] ",
        "\"\\ud800 \\u00e4 \\/\"",
        "-0",
        "0.10",
        "1E5",
        "{\"a\":1,\"a\":2}",
    };
    struct rig *rig = *state;
    uint16_t port = start(rig, "function before_set(key, value)\n"
                               "  if key == 'nothing' then return end\n"
                               "  return value\n"
                               "end\n");
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char body[256], expected[128];
        const char *from = values[i] + strspn(values[i], " ");
        size_t len = strlen(from);
        while (from[len - 1] == ' ')
            len--;
        snprintf(expected, sizeof(expected), "%.*s", (int)len, from);
        snprintf(body, sizeof(body), "{\"value\":%s}", values[i]);
        post(port, "/storage/nothing", body, 202);
        kv_test_expect_value(port, "nothing", expected);
        post(port, "/storage/same", body, 202);
        kv_test_expect_value(port, "same", expected);
    }
    stop(rig);
}

static void refusal_reaches_the_client_with_its_reason(void **state)
{
    struct rig *rig = *state;
    uint16_t port =
        start(rig, "function before_set(key, value)\n"
                   "  if value == 1 then kv.refuse('one \"is\" not allowed \xc3\xa4') end\n"
                   "end\n"
                   "function before_delete(key) kv.refuse(key .. ' is kept') end\n");
    struct kv_test_ws ws;
    post(port, "/storage/k", "{\"value\":2}", 202);
    expect_refusal(port, "POST", "/storage/k", "{\"value\":1}",
                   "one \\\"is\\\" not allowed \xc3\xa4");
    expect_refusal(port, "DELETE", "/storage/k", NULL, "k is kept");
    kv_test_ws_open(&ws, port);
    kv_test_ws_send_text(&ws, "{\"type\":\"delete\",\"payload\":{\"key\":\"k\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"error\",\"payload\":\"k is kept\"}");
    kv_test_ws_close(&ws);
    kv_test_expect_value(port, "k", "2");
    stop(rig);
}

static void hooks_see_what_a_patch_makes(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start_with(rig, "scripts: [{file: '%s/hooks.lua', prefixes: [seen]}]\n",
                               "function before_set(key, value, ttl)\n"
                               "  if value == 3 then kv.refuse('not three') end\n"
                               "  if ttl == 5000 then return value, 3600000 end\n"
                               "end\n");
    kv_test_store(port, "seen", "1");
    assert_int_equal(kv_test_http_status(port, "PATCH", "/storage/seen", NULL, "{\"increment\":1}"),
                     200);
    expect_refusal(port, "PATCH", "/storage/seen", "{\"increment\":1}", "not three");
    kv_test_expect_value(port, "seen", "2");
    assert_int_equal(kv_test_http_status(port, "PATCH", "/storage/seen", NULL, "{\"ttl\":5000}"),
                     202);
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, port);
    kv_test_http_ask(&stream, "GET", "/storage/seen", NULL, NULL, &response);
    assert_true(atol(kv_test_response_header(&response, "KV-TTL")) > 3000000);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    stop(rig);
}

static void failing_hook_refuses_or_passes_as_configured(void **state)
{
    struct rig *rig = *state;
    static const char script[] = "function before_set(key, value)\n"
                                 "  return value.a.b\n"
                                 "end\n";
    uint16_t port = start(rig, script);
    expect_refusal(port, "POST", "/storage/k", "{\"value\":{}}",
                   "the write was refused because a hook failed");
    kv_test_expect_missing(port, "k");
    stop_and_expect(rig, "before_set of \"k\": ");
    port = start_with(rig, "scripts: [{file: '%s/hooks.lua', on_error: pass}]\n", script);
    post(port, "/storage/k", "{\"value\":{}}", 202);
    kv_test_expect_value(port, "k", "{}");
    stop_and_expect(rig, "hooks.lua:2: attempt to index a nil value");
}

static void unwritable_results_of_hooks_are_refused(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start(rig, "local cases = {\n"
                               "  fn = function() return print or kv.get end,\n"
                               "  nan = function() return 0 / 0 end,\n"
                               "  hole = function() return {1, nil, 3} end,\n"
                               "  mixed = function() return {1, a = 2} end,\n"
                               "  bytes = function() return '\\xff' end,\n"
                               "  loop = function() local t = {} t.t = t return t end,\n"
                               "  ttl = function() return 1, 'soon' end,\n"
                               "}\n"
                               "function before_set(key) return cases[key]() end\n");
    static const char *const keys[] = {"fn", "nan", "hole", "mixed", "bytes", "loop", "ttl"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char path[32];
        snprintf(path, sizeof(path), "/storage/%s", keys[i]);
        expect_refusal(port, "POST", path, "{\"value\":1}",
                       "the write was refused because a hook failed");
    }
    stop_and_expect(rig, "what it returned: ttl: \"soon\" is not a duration");
}

/* A hook that waits holds its own write, and those behind it on its connection, and no other. */
static void waiting_hook_keeps_the_order_of_its_connection(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start(rig, "function before_set(key, value)\n"
                               "  for i = 1, 5 do kv.get('other') end\n"
                               "  local last = kv.get(key)\n"
                               "  return {value, last}\n"
                               "end\n");
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, port);
    for (int i = 0; i < 50; i++) {
        kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"w\",\"value\":%d}}", i);
        kv_test_ws_put_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"w\"}}");
        kv_test_ws_put_text(&ws, "{\"type\":\"delete\",\"payload\":{\"key\":\"w\"}}");
        kv_test_ws_put_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"w\"}}");
    }
    kv_test_stream_flush(&ws.stream);
    for (int i = 0; i < 50; i++) {
        kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"w\",\"value\":[%d]}}",
                          i);
        kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"w\"}}");
    }
    kv_test_ws_close(&ws);
    stop(rig);
}

static void client_that_leaves_while_its_hook_waits_is_harmless(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start(rig, "function before_set(key, value)\n"
                               "  for i = 1, 100 do kv.get('other') end\n"
                               "  return value\n"
                               "end\n");
    for (int i = 0; i < 20; i++) {
        struct kv_test_ws ws;
        kv_test_ws_open(&ws, port);
        kv_test_ws_send_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"w\",\"value\":%d}}", i);
        kv_test_ws_close(&ws);
    }
    kv_test_store(port, "after", "1");
    kv_test_expect_value(port, "after", "1");
    stop(rig);
}

static void conditions_are_evaluated_after_the_hook(void **state)
{
    struct rig *rig = *state;
    uint16_t port =
        start(rig, "function before_set(key, value) return kv.get('no') or value end\n");
    post(port, "/storage/k", "{\"value\":1}", 202);
    assert_int_equal(
        kv_test_http_status(port, "POST", "/storage/k", "If-None-Match: *\r\n", "{\"value\":2}"),
        412);
    assert_int_equal(
        kv_test_http_status(port, "POST", "/storage/k", "If-Match: *\r\n", "{\"value\":3}"), 202);
    kv_test_expect_value(port, "k", "3");
    stop(rig);
}

/* ---- budgets and the sandbox ---- */

static void server_keeps_serving_whatever_a_hook_does(void **state)
{
    static const char *const keys[] = {"loop",    "pcall", "hog",  "deep",
                                       "pattern", "sort",  "json", "close"};
    struct rig *rig = *state;
    uint16_t port = start(
        rig,
        "local cases = {\n"
        "  loop = function() while true do end end,\n"
        "  pcall = function() while true do pcall(error, 'x') end end,\n"
        "  hog = function() local t = {}\n"
        "    for i = 1, 1e9 do t[i] = ('x'):rep(100000) .. i end end,\n"
        "  deep = function() local function f() return 1 + f() end return f() end,\n"
        "  pattern = function()\n"
        "    for i = 1, 100 do\n"
        "      pcall(string.find, ('a'):rep(600), '.-.-.-b')\n"
        "      local _ = ('a'):rep(9000):find('a-b') end\n"
        "    error('done') end,\n"
        "  sort = function() local t = {} for i = 1, 1e5 do t[i] = i % 7 end\n"
        "    while true do table.sort(t) end end,\n"
        "  json = function() local t = {}\n"
        "    for i = 1, 100 do t = {t, t} end return t end,\n"
        "  close = function()\n"
        "    local x <close> = setmetatable({}, {__close = function() while true do end end})\n"
        "    while true do end end,\n"
        "}\n"
        "function before_set(key) if cases[key] then return cases[key]() end end\n"
        "function on_set(key) for _, case in pairs(cases) do pcall(case) end end\n");
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char path[32];
        snprintf(path, sizeof(path), "/storage/%s", keys[i]);
        expect_refusal(port, "POST", path, "{\"value\":1}",
                       "the write was refused because a hook failed");
    }
    for (int i = 0; i < 20; i++)
        kv_test_store(port, "k", "1");
    kv_test_expect_value(port, "k", "1");
    stop_and_expect(
        rig, "stopped: exceeded the limit of 1000000 instructions (handling bytes counts, too)");
}

/* Code that continues after an error, or works without instructions, counts like any other. */
static void no_handler_and_no_library_function_outlives_the_budget(void **state)
{
    static const char *const keys[] = {"handler", "nested", "memory", "deep",    "closing",
                                       "caught",  "gsub",   "sort",   "strings", "finalizer"};
    struct rig *rig = *state;
    uint16_t port = start_with(
        rig, "scripts: [{file: '%s/hooks.lua', limits: {instructions: 1000000000, time: 20ms}}]\n",
        "local function loop() while true do end end\n"
        "local function close(f) return setmetatable({}, {__close = f}) end\n"
        "local cases = {\n"
        "  handler = function() xpcall(function() error('a') end, loop) end,\n"
        "  nested = function() xpcall(loop, function() return xpcall(error, loop) end) end,\n"
        "  memory = function()\n"
        "    xpcall(function() local t = {} while true do t[#t + 1] = {} end end, loop) end,\n"
        "  deep = function() local function f() return 1 + f() end xpcall(f, loop) end,\n"
        "  closing = function()\n"
        "    local function f(n) local x <close> = close(loop) return n == 0 or f(n - 1) end\n"
        "    while true do pcall(f, 100) end end,\n"
        "  caught = function() while true do pcall(loop) end end,\n"
        "  gsub = function() local _ = ('x'):rep(4000000):gsub('.', pcall) loop() end,\n"
        "  sort = function() table.sort({3, 1, 2}, loop) end,\n"
        "  strings = function() while true do local _ = (''):rep(1 << 40) .. ('x'):rep(9000000) "
        "end end,\n"
        "  finalizer = function() getmetatable(kv.array{}).__gc = loop kv.array{} end,\n"
        "}\n"
        "function before_set(key) if cases[key] then return cases[key]() end end\n"
        "function on_set(key) for _, case in pairs(cases) do xpcall(case, loop) end end\n");
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char path[32];
        snprintf(path, sizeof(path), "/storage/%s", keys[i]);
        expect_refusal(port, "POST", path, "{\"value\":1}",
                       "the write was refused because a hook failed");
    }
    kv_test_store(port, "k", "1");
    kv_test_expect_value(port, "k", "1");
    stop_and_expect(rig, "stopped: exceeded the limit of 20 ms of processor time");
}

static void server_ends_even_if_a_hook_does_not(void **state)
{
    struct rig *rig = *state;
    struct kv_test_ws ws;
    uint16_t port = start_with(
        rig,
        "scripts: [{file: '%s/hooks.lua', limits: {instructions: 1000000000000, time: 1h}}]\n"
        "timeouts: {drain: 200ms}\n",
        "function before_set(key)\n"
        "  kv.log('begun')\n"
        "  xpcall(error, function() while true do end end)\n"
        "end\n");
    kv_test_ws_open(&ws, port);
    kv_test_ws_send_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":1}}");
    kv_test_await_log(&rig->server, "begun");
    stop_and_expect(rig, "stopped: the server is ending");
    kv_test_ws_close(&ws);
}

/* Each of them is within its budget, and leads to others. */
static void hooks_that_write_without_end_leave_the_loop_to_others(void **state)
{
    struct rig *rig = *state;
    struct kv_test_ws ws;
    uint16_t port = start_with(rig,
                               "timeouts: {drain: 1s}\n"
                               "scripts: [{file: '%s/hooks.lua'}]\n",
                               "function before_set(key)\n"
                               "  if key == 'k' then kv.log('begun') end\n"
                               "  while true do kv.set('z' .. math.random(1000000), 1) end\n"
                               "end\n");
    kv_test_ws_open(&ws, port);
    kv_test_ws_send_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":1}}");
    kv_test_await_log(&rig->server, "begun");
    int64_t began_ms = kv_test_now_ms();
    for (int i = 0; i < 10; i++)
        assert_int_equal(kv_test_http_status(port, "GET", "/healthz", NULL, NULL), 200);
    assert_true(kv_test_now_ms() - began_ms < KV_TEST_LIMIT_MS / 2);
    kv_test_server_kill(&rig->server);
    kv_test_ws_close(&ws);
}

/* A function in C that has called the script can't be left and come back to. */
static void waiting_where_impossible_is_refused_with_a_suggestion(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start(
        rig,
        "local function expect(name, f, ...)\n"
        "  local ok, why = pcall(f, ...)\n"
        "  assert(not ok and why:find(name .. ' waits, and cannot be called from within a call'\n"
        "    .. '-back of kv.update, table.sort or string.gsub', 1, true), why)\n"
        "end\n"
        "local function test()\n"
        "  expect('kv.get', table.sort, {1, 2}, function() return kv.get('a') end)\n"
        "  expect('kv.set', string.gsub, 'a', 'a', function() kv.set('a', 1) end)\n"
        "  expect('kv.incr', tostring, setmetatable({}, {__tostring = function() kv.incr('a') "
        "end}))\n"
        "  expect('kv.delete', table.concat, setmetatable({}, {__len = function() return 1 end,\n"
        "    __index = function() kv.delete('a') end}))\n"
        "  for one in ('a b'):gmatch('%a') do assert(kv.get(one) == nil) end\n"
        "  assert(select(2, xpcall(error, function() return kv.set('b', 2) end)) > 0)\n"
        "  local lazy = setmetatable({}, {__index = function(_, key) return kv.get(key) end})\n"
        "  assert(lazy.b == 2)\n"
        "  assert(pcall(kv.delete, 'b'))\n"
        "end\n"
        "function on_set(key)\n"
        "  if key ~= 'run' then return end\n"
        "  local ok, why = pcall(test)\n"
        "  kv.set('result', ok and 'good' or why)\n"
        "end\n");
    kv_test_store(port, "run", "1");
    kv_test_await_value(port, "result", "\"good\"");
    stop(rig);
}

static void limits_are_configured(void **state)
{
    struct rig *rig = *state;
    uint16_t port =
        start_with(rig,
                   "scripts: [{file: '%s/hooks.lua',\n"
                   "           limits: {instructions: 100000, time: 10s, memory: 1MiB}}]\n"
                   "limits: {key: 10, value: 1000}\n",
                   "function before_set(key, value)\n"
                   "  if key == 'long' then kv.set('elevenbytes', 1) end\n"
                   "  if key == 'big' then return ('x'):rep(1000) end\n"
                   "  if key == 'rep' then return ('x'):rep(1000000) end\n"
                   "  for i = 1, value do end\n"
                   "end\n");
    kv_test_store(port, "k", "50000");
    expect_refusal(port, "POST", "/storage/k", "{\"value\":200000}",
                   "the write was refused because a hook failed");
    kv_test_await_log(&rig->server, "exceeded the limit of 100000 instructions");
    expect_refusal(port, "POST", "/storage/long", "{\"value\":1}",
                   "the write was refused because a hook failed");
    kv_test_await_log(&rig->server, "the key is longer than limits.key");
    expect_refusal(port, "POST", "/storage/big", "{\"value\":1}",
                   "the write was refused because a hook failed");
    kv_test_await_log(&rig->server, "the value is longer than 1000 bytes");
    expect_refusal(port, "POST", "/storage/rep", "{\"value\":1}",
                   "the write was refused because a hook failed");
    kv_test_await_log(&rig->server, "not enough memory");
    stop(rig);
}

static void sandbox_cannot_be_left(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start(
        rig,
        "for _, name in ipairs{'io', 'os', 'package', 'debug', 'coroutine', 'require', 'load',\n"
        "                      'loadfile', 'dofile', 'loadstring', 'collectgarbage', 'print',\n"
        "                      'warn'} do\n"
        "  assert(_G[name] == nil, name)\n"
        "end\n"
        "assert(string.dump == nil)\n"
        "assert(not pcall(setmetatable, {}, {__gc = function() end}))\n"
        "assert(not pcall(setmetatable, {}, {['__' .. 'mode'] = 'k'}))\n"
        "assert(getmetatable('') == false)\n"
        "assert(not pcall(setmetatable, kv.tonumber(1), {}))\n"
        "assert(not pcall(kv.get, 'k'))\n"
        "function before_set() end\n");
    kv_test_store(port, "k", "1");
    stop(rig);
}

/* ---- after a change ---- */

static void after_hooks_receive_the_change(void **state)
{
    struct rig *rig = *state;
    uint16_t port =
        start(rig, "local function tell(kind, key, value, meta, previous)\n"
                   "  if key:sub(1, 4) == 'log/' then return end\n"
                   "  local n = kv.incr('log/' .. key .. '/n')\n"
                   "  kv.set('log/' .. key .. '/' .. n, {kind, value, previous or kv.null,\n"
                   "    meta.revision > 0, meta.ttl ~= nil and meta.ttl > 50000})\n"
                   "end\n"
                   "function on_set(key, ...) tell('set', key, ...) end\n"
                   "function on_delete(key, ...) tell('delete', key, ...) end\n"
                   "function on_expire(key, ...) tell('expire', key, ...) end\n");
    post(port, "/storage/k", "{\"value\":{\"a\":[]}}", 202);
    post(port, "/storage/k", "{\"value\":{\"a\":[]}}", 202); /* alters nothing */
    post(port, "/storage/k", "{\"value\":2,\"ttl\":\"1m\"}", 202);
    delete_key(port, "/storage/k");
    delete_key(port, "/storage/k");
    post(port, "/storage/k", "{\"value\":\"last\",\"ttl\":1}", 202);
    kv_test_await_value(port, "log/k/5", "[\"expire\",\"last\",null,true,false]");
    kv_test_expect_value(port, "log/k/1", "[\"set\",{\"a\":[]},null,true,false]");
    kv_test_expect_value(port, "log/k/2", "[\"set\",2,{\"a\":[]},true,true]");
    kv_test_expect_value(port, "log/k/3", "[\"delete\",2,null,true,false]");
    kv_test_expect_value(port, "log/k/4", "[\"set\",\"last\",null,true,false]");
    kv_test_expect_missing(port, "log/k/6");
    stop(rig);
}

static void hooks_receive_changes_of_a_key_in_sequence(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start(rig, "local seen, running = {}, {}\n"
                               "function on_set(key, value)\n"
                               "  if key:sub(1, 1) ~= 'k' then return end\n"
                               "  assert(not running[key])\n"
                               "  running[key] = true\n"
                               "  for i = 1, value % 4 do kv.get('other') end\n"
                               "  seen[key] = (seen[key] or 0) + 1\n"
                               "  if seen[key] ~= value then kv.set('bad', {key, value}) end\n"
                               "  running[key] = false\n"
                               "  if value == 200 then kv.incr('done') end\n"
                               "end\n");
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, port);
    for (int i = 1; i <= 200; i++)
        for (int key = 0; key < 8; key++)
            kv_test_ws_put_text(
                &ws, "{\"type\":\"set\",\"payload\":{\"key\":\"k%d\",\"value\":%d}}", key, i);
    kv_test_stream_flush(&ws.stream);
    kv_test_await_value(port, "done", "8");
    kv_test_expect_missing(port, "bad");
    kv_test_ws_close(&ws);
    stop(rig);
}

static void hook_may_delete_the_key_it_is_called_for(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start(rig, "function on_set(key)\n"
                               "  if key == 'k' then assert(kv.delete(key)) end\n"
                               "end\n"
                               "function on_delete(key, value) kv.set('gone', value) end\n");
    kv_test_store(port, "k", "[1]");
    kv_test_await_value(port, "gone", "[1]");
    kv_test_expect_missing(port, "k");
    stop(rig);
}

static void nested_hooks_end_at_a_depth(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start(rig, "function on_set(key, value)\n"
                               "  if key == 'chain' then kv.set(key, value + 1) end\n"
                               "  if key == 'fork' then\n"
                               "    kv.incr('n')\n"
                               "    kv.set('fork', value .. 'a')\n"
                               "    kv.set('fork', value .. 'b')\n"
                               "  end\n"
                               "end\n"
                               "function before_set(key, value)\n"
                               "  if key == 'before' then kv.set(key, value) end\n"
                               "end\n");
    kv_test_store(port, "chain", "1");
    kv_test_await_value(port, "chain", "9");
    kv_test_await_log(&rig->server, "hooks that lead to hooks are more than 8 deep");
    kv_test_store(port, "fork", "\"\"");
    kv_test_store(port, "before", "1");
    kv_test_expect_value(port, "before", "1");
    stop(rig);
}

static void failed_after_hook_is_logged_and_the_next_one_runs(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start(rig, "function on_set(key, value)\n"
                               "  if value == 1 then error({}) end\n"
                               "  if value == 2 then kv.refuse('too late') end\n"
                               "  if value == 3 then kv.set('seen', value) end\n"
                               "end\n"
                               "function on_delete() error() end\n"
                               "function on_expire() error('expired') end\n");
    post(port, "/storage/k", "{\"value\":1}", 202);
    post(port, "/storage/k", "{\"value\":2}", 202);
    delete_key(port, "/storage/k");
    post(port, "/storage/k", "{\"value\":3}", 202);
    post(port, "/storage/e", "{\"value\":4,\"ttl\":1}", 202);
    kv_test_await_value(port, "seen", "3");
    kv_test_await_log(&rig->server, "on_set of \"k\": it raised a table");
    kv_test_await_log(&rig->server,
                      "kv.refuse: on_set runs after the change, which cannot be refused");
    kv_test_await_log(&rig->server, "on_delete of \"k\": it raised a nil");
    kv_test_await_log(&rig->server, "on_expire of \"e\": ");
    stop(rig);
}

/* Beyond limits.pending writes wait, and nothing is lost. */
static void writes_wait_for_slow_hooks(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start_with(rig, "scripts: [{file: '%s/hooks.lua', limits: {pending: 10}}]\n",
                               "function on_set(key)\n"
                               "  if key:sub(1, 1) ~= 'k' then return end\n"
                               "  for i = 1, 5 do kv.get('other') end\n"
                               "  kv.incr('n')\n"
                               "end\n");
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, port);
    for (int i = 0; i < 1000; i++)
        kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"k%d\",\"value\":%d}}",
                            i % 50, i);
    kv_test_ws_put_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"k49\"}}");
    kv_test_stream_flush(&ws.stream);
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"k49\",\"value\":999}}");
    kv_test_await_value(port, "n", "1000");
    kv_test_ws_close(&ws);
    stop(rig);
}

static void hooks_end_before_the_server_does(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start(rig, "function on_set(key, value)\n"
                               "  for i = 1, 20 do kv.get('other') end\n"
                               "  if value == 30 then kv.log('the last one', value) end\n"
                               "end\n");
    for (int i = 1; i <= 30; i++) {
        char value[8];
        snprintf(value, sizeof(value), "%d", i);
        kv_test_store(port, "k", value);
    }
    kv_test_settle(port);
    stop_and_expect(rig, "hooks.lua: the last one 30");
}

static void endless_hooks_cost_only_the_drain_time(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start_with(
        rig,
        "scripts: [{file: '%s/hooks.lua', limits: {instructions: 1000000000, pending: 2}}]\n"
        "timeouts: {drain: 200ms}\n",
        "function on_set(key)\n"
        "  while true do\n"
        "    kv.get('other')\n"
        "    local is_done, why = pcall(kv.incr, 'n')\n"
        "    if not is_done then kv.log(why) end\n"
        "  end\n"
        "end\n"
        "function before_delete(key) while true do kv.get('other') end end\n");
    struct kv_test_ws ws;
    kv_test_store(port, "a", "1");
    kv_test_ws_open(&ws, port);
    for (int i = 0; i < 50; i++)
        kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"k%d\",\"value\":1}}", i);
    kv_test_ws_put_text(&ws, "{\"type\":\"delete\",\"payload\":{\"key\":\"a\"}}");
    kv_test_stream_flush(&ws.stream);
    if (kv_test_uses_store("memory") && IS_QUICK)
        kv_test_await_log(&rig->server, "hooks may write no more");
    while (kv_test_http_status(port, "GET", "/storage/n", NULL, NULL) != 200)
        kv_test_sleep_ms(5);
    stop_and_expect(rig, "hooks were cut off at the end");
    kv_test_ws_close(&ws);
}

/* ---- what hooks can ask ---- */

static void api_matches_the_readme(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start_with(
        rig, "scripts: [{file: '%s/hooks.lua', options: {name: 'a b', number: 7}}]\n",
        "local function test()\n"
        "  assert(kv.options.name == 'a b' and kv.options.number == '7')\n"
        "  assert(kv.get('a') == nil)\n"
        "  local r1 = assert(kv.set('a', {x = 1, y = kv.null, z = kv.array{}}))\n"
        "  local value, meta = kv.get('a')\n"
        "  assert(value.x == 1 and value.y == kv.null and kv.is_array(value.z))\n"
        "  assert(meta.revision == r1 and meta.ttl == nil)\n"
        "  local r, why = kv.set('a', 1, {if_absent = true})\n"
        "  assert(r == nil and why == 'condition')\n"
        "  r, why = kv.set('a', 1, {if_revision = r1 + 1})\n"
        "  assert(r == nil and why == 'condition')\n"
        "  local r2 = assert(kv.set('a', 1, {if_revision = r1, ttl = '1h'}))\n"
        "  assert(r2 > r1)\n"
        "  value, meta = kv.get('a')\n"
        "  assert(value == 1 and meta.ttl > 3500000 and meta.ttl <= 3600000)\n"
        "  assert(kv.set('a', 1) == r2)\n"
        "  r, why = kv.delete('a', {if_revision = r1})\n"
        "  assert(r == nil and why == 'condition')\n"
        "  assert(kv.delete('a') == true and kv.delete('a') == false)\n"
        "  assert(kv.incr('n') == 1 and kv.incr('n', 41) == 42 and kv.incr('n', -2) == 40)\n"
        "  kv.set('n', math.maxinteger, {ttl = 60000})\n"
        "  r, why = kv.incr('n')\n"
        "  assert(r == nil and why == 'the sum has more than 64 bits')\n"
        "  assert(kv.incr('n', -1) == math.maxinteger - 1)\n"
        "  local _, kept = kv.get('n')\n"
        "  assert(kept.ttl > 50000)\n"
        "  kv.set('n', '1')\n"
        "  r, why = kv.incr('n')\n"
        "  assert(r == nil and why == 'the value is no integer of 64 bits')\n"
        "  r, why = kv.set('locked', 1)\n"
        "  assert(r == nil and why == 'it is locked')\n"
        "  local ok, err = pcall(kv.set, 'a')\n"
        "  assert(not ok and err:find('a value is expected'))\n"
        "  ok, err = pcall(kv.set, 'a', 1, {tll = 5})\n"
        "  assert(not ok and err:find('there is no option tll'))\n"
        "  ok, err = pcall(kv.set, 'a', 1, {ttl = -1})\n"
        "  assert(not ok and err:find('is not between 0 and'))\n"
        "  ok, err = pcall(kv.get, 7)\n"
        "  assert(not ok and err:find('string expected'))\n"
        "  ok, err = pcall(kv.get, '\\xff')\n"
        "  assert(not ok and err:find('not UTF%-8'))\n"
        "  assert(kv.get('') == nil and kv.set('', 'empty') and kv.get('') == 'empty')\n"
        "  assert(kv.set('nul\\0key', 2) and kv.get('nul\\0key') == 2 and kv.get('nul') == nil)\n"
        "  assert(kv.now() > 1700000000000)\n"
        "  assert(kv.duration('1h 1s') == 3601000 and kv.duration('0') == 0)\n"
        "  local ms, wrong = kv.duration('30 moons')\n"
        "  assert(ms == nil and wrong:find('\"30 moons\" is not a duration', 1, true))\n"
        "  for _, lone in ipairs{30, '30'} do\n"
        "    ms, wrong = kv.duration(lone)\n"
        "    assert(ms == nil and wrong == '30 has no unit; write 30ms, 30s or 30m')\n"
        "  end\n"
        "  assert(kv.encode({b = 1, a = {kv.null, 1.5}}) == '{\"a\":[null,1.5],\"b\":1}')\n"
        "  assert(kv.decode('[1,{}]')[1] == 1)\n"
        "  ok, err = pcall(kv.decode, '[1,]')\n"
        "  assert(not ok and err:find('bad JSON at byte 3'))\n"
        "  local big = kv.decode('123456789012345678901')\n"
        "  assert(kv.encode(big) == '123456789012345678901' and kv.tonumber(big) > 1.2e20)\n"
        "  assert(big > 5 and big + 0 == kv.tonumber(big))\n"
        "end\n"
        "function before_set(key) if key == 'locked' then kv.refuse('it is locked') end end\n"
        "function on_set(key)\n"
        "  if key ~= 'run' then return end\n"
        "  local ok, why = pcall(test)\n"
        "  kv.set('result', ok and 'good' or why)\n"
        "end\n");
    kv_test_store(port, "run", "1");
    kv_test_await_value(port, "result", "\"good\"");
    stop(rig);
}

static void values_keep_distinctions_of_json(void **state)
{
    static const char *const values[] = {
        "[]",
        "{}",
        "null",
        "true",
        "[[],{},null]",
        "{\"\":{\"a\":[]}}",
        "9007199254740993",
        "-9223372036854775808",
        "18446744073709551616",
        "1e400",
        "0.1",
        "-0",
        "1.5e-300",
        "\"\xf0\x9f\x98\x80\"",
        "\"\\u0000\\u001f\\\"\\\\\"",
        "\"\\ud800\"",
        "{\"\\u0000\":1,\"a\":123456789.123456789123456789}",
    };
    struct rig *rig = *state;
    uint16_t port = start(rig, "function on_set(key, value)\n"
                               "  if key == 'k' then kv.set('copy', value) end\n"
                               "end\n");
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        kv_test_store(port, "k", values[i]);
        kv_test_await_value(port, "copy", values[i]);
    }
    stop(rig);
}

/* From both loops, and with conditions of clients in between. */
static void counters_lose_nothing(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start(rig, "function on_set(key)\n"
                               "  if key:sub(1, 1) == 'k' then\n"
                               "    local sum, why = kv.incr('n')\n"
                               "    if not sum then kv.set('bad', why) end\n"
                               "  end\n"
                               "end\n");
    enum {
        CLIENTS = 8,
        WRITES = 250
    };
    struct kv_test_ws ws[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        kv_test_ws_open(&ws[i], port);
    for (int n = 0; n < WRITES; n++)
        for (int i = 0; i < CLIENTS; i++)
            kv_test_ws_put_text(&ws[i],
                                "{\"type\":\"set\",\"payload\":{\"key\":\"k%d\",\"value\":%d}}",
                                (n * 7 + i) % 100 + 100 * i, n);
    for (int i = 0; i < CLIENTS; i++)
        kv_test_stream_flush(&ws[i].stream);
    kv_test_await_value(port, "n", "2000");
    kv_test_expect_missing(port, "bad");
    for (int i = 0; i < CLIENTS; i++)
        kv_test_ws_close(&ws[i]);
    stop(rig);
}

/* ---- kv.update and kv.scan ---- */

/* Starts a server whose hook runs `test` once, which asserts, and waits until it has. */
static uint16_t start_and_run(struct rig *rig, const char *test)
{
    struct kv_buffer script = {0};
    kv_buffer_printf(&script,
                     "local function test()\n%send\n"
                     "function before_set(key) if key == 'locked' then kv.refuse('no') end end\n"
                     "function on_set(key)\n"
                     "  if key ~= 'run' then return end\n"
                     "  local ok, why = pcall(test)\n"
                     "  kv.set('result', ok and 'good' or why)\n"
                     "end\n",
                     test);
    kv_buffer_append_char(&script, '\0');
    uint16_t port = start(rig, script.bytes);
    kv_buffer_fini(&script);
    kv_test_store(port, "run", "1");
    kv_test_await_value(port, "result", "\"good\"");
    return port;
}

static void update_matches_the_readme(void **state)
{
    struct rig *rig = *state;
    start_and_run(
        rig, "  local r = assert(kv.update('a', function(old)\n"
             "    assert(old == nil) return {n = 1, list = kv.array{}} end))\n"
             "  local value, meta = kv.get('a')\n"
             "  assert(value.n == 1 and kv.is_array(value.list) and meta.revision == r)\n"
             "  local r2 = assert(kv.update('a', function(old) old.n = old.n + 1 return old end))\n"
             "  assert(r2 > r and kv.get('a').n == 2)\n"
             "  assert(kv.update('a', function(old) assert(old.n == 2) end) == false)\n"
             "  value, meta = kv.get('a')\n"
             "  assert(value.n == 2 and meta.revision == r2)\n"
             "  assert(kv.update('t', function() return 1 end, {ttl = '1h'}))\n"
             "  assert(kv.update('t', function(old) return old + 1 end))\n"
             "  value, meta = kv.get('t')\n"
             "  assert(value == 2 and meta.ttl > 3500000 and meta.ttl <= 3600000)\n"
             "  assert(kv.update('t', function(old) return old end, {ttl = 0}))\n"
             "  value, meta = kv.get('t')\n"
             "  assert(value == 2 and meta.ttl == nil)\n"
             "  assert(kv.update('a', function() return kv.delete end) == true)\n"
             "  assert(kv.get('a') == nil)\n"
             "  assert(kv.update('a', function() return kv.delete end) == true)\n"
             "  assert(kv.update('n', function() return kv.null end))\n"
             "  assert(kv.get('n') == kv.null)\n"
             "  local ok, why = pcall(kv.update, 't', function() error('broken', 0) end)\n"
             "  assert(not ok and why == 'broken' and kv.get('t') == 2)\n"
             "  ok, why = pcall(kv.update, 't', function() return print or kv.get end)\n"
             "  assert(not ok and kv.get('t') == 2)\n"
             "  ok, why = pcall(kv.update, 't', function() return kv.get('a') end)\n"
             "  assert(not ok and why:find('kv.get waits, and cannot be called'))\n"
             "  ok, why = pcall(kv.update, 't', 1)\n"
             "  assert(not ok and why:find('function expected'))\n"
             "  ok, why = pcall(kv.update, 't', print or error, {tll = 1})\n"
             "  assert(not ok and why:find('there is no option tll'))\n"
             "  local none, reason = kv.update('locked', function() return 1 end)\n"
             "  assert(none == nil and reason == 'no')\n");
    stop(rig);
}

enum {
    UPDATES = 2000
};

/* Sets keys k0000 and on, at once. */
static void set_many(uint16_t port, int n)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, port);
    for (int i = 0; i < n; i++)
        kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"k%04d\",\"value\":1}}",
                            i);
    kv_test_stream_flush(&ws.stream);
    kv_test_ws_close(&ws);
}

/* Of every ten functions one fails halfway, one returns what is no JSON, and one nothing. */
static void no_update_of_a_contended_key_is_lost(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start_with(
        rig, "scripts: [{file: '%s/hooks.lua', limits: {time: 10s}}]\n", /* a sanitizer is slow */
        "function on_set(key)\n"
        "  if key:sub(1, 1) ~= 'k' then return end\n"
        "  local way = tonumber(key:sub(2)) % 10\n"
        "  local ok, done, why = pcall(kv.update, 'list', function(old)\n"
        "    if way == 1 then return end\n"
        "    old = old or {n = 0}\n"
        "    old.n = old.n + 1\n"
        "    if way == 3 then error('halfway') end\n"
        "    if way == 5 then old.bad = kv.get end\n"
        "    old[key] = true\n"
        "    return old\n"
        "  end)\n"
        "  if way == 1 then assert(done == false) end\n"
        "  assert(ok == (way ~= 3 and way ~= 5) and (not ok or done ~= nil), why or done)\n"
        "  kv.incr('ended')\n"
        "end\n"
        "function before_delete(key) local list = kv.get('list')\n"
        "  local n = 0\n"
        "  for name in pairs(list) do if name ~= 'n' then n = n + 1 end end\n"
        "  assert(n == list.n and list.bad == nil)\n"
        "  kv.set('n', n)\n"
        "end\n");
    char expected[16];
    set_many(port, UPDATES);
    snprintf(expected, sizeof(expected), "%d", UPDATES);
    kv_test_await_value(port, "ended", expected);
    assert_int_equal(kv_test_http_status(port, "DELETE", "/storage/list", NULL, NULL), 200);
    snprintf(expected, sizeof(expected), "%d", UPDATES / 10 * 7);
    kv_test_expect_value(port, "n", expected);
    stop(rig);
}

/* Hooks of both loops write the key as quickly as they can, until the slow one is done. */
static void slow_update_succeeds_beside_quick_ones(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start_with(rig,
                               "scripts:\n"
                               "  - file: '%s/hooks.lua'\n"
                               "    prefixes: [k, slow]\n"
                               "    limits: {time: 100s, instructions: 10000000000}\n",
                               "local function add(old) return (old or 0) + 1 end\n"
                               "local function add_slowly(old)\n"
                               "  for _ = 1, 2000000 do end\n"
                               "  return (old or 0) + 1\n"
                               "end\n"
                               "function on_set(key)\n"
                               "  if key == 'slow' then\n"
                               "    local done, why\n"
                               "    for _ = 1, 10 do\n"
                               "      done, why = kv.update('n', add_slowly)\n"
                               "      if not done then break end\n"
                               "    end\n"
                               "    kv.set('outcome', done and 'done' or why)\n"
                               "  else\n"
                               "    repeat assert(kv.update('n', add)) until kv.get('outcome')\n"
                               "  end\n"
                               "end\n");
    set_many(port, 16);
    post(port, "/storage/slow", "{\"value\":1}", 202);
    kv_test_await_value(port, "outcome", "\"done\"");
    stop(rig);
}

static void refusal_within_an_update_refuses_the_write(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start(rig, "function before_set(key, value)\n"
                               "  if key ~= 'k' then return end\n"
                               "  kv.update('used', function(old)\n"
                               "    local used = (old or 0) + value\n"
                               "    if used > 10 then kv.refuse('used up') end\n"
                               "    return used\n"
                               "  end)\n"
                               "end\n");
    post(port, "/storage/k", "{\"value\":6}", 202);
    expect_refusal(port, "POST", "/storage/k", "{\"value\":5}", "used up");
    post(port, "/storage/k", "{\"value\":4}", 202);
    kv_test_expect_value(port, "used", "10");
    stop(rig);
}

static void function_that_does_not_end_is_stopped(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start(rig, "function before_set(key, value)\n"
                               "  if key ~= 'k' then return end\n"
                               "  pcall(kv.update, 'u', function(old) while true do end end)\n"
                               "end\n");
    expect_refusal(port, "POST", "/storage/k", "{\"value\":1}",
                   "the write was refused because a hook failed");
    kv_test_store(port, "u", "1");
    stop_and_expect(rig, "stopped: exceeded the limit of 1000000 instructions");
}

static void update_of_an_unreadable_value_writes_nothing(void **state)
{
    struct rig *rig = *state;
    if (!kv_test_uses_store("late"))
        skip(); /* the others do not fail */
    setenv("KV_TEST_STORE_OPTIONS", "failing_key: list", 1);
    uint16_t port = start(rig, "function on_set(key)\n"
                               "  if key ~= 'k' and key ~= 'l' then return end\n"
                               "  local done, why = kv.update('list', function(old)\n"
                               "    old = old or kv.array{}\n"
                               "    old[#old + 1] = key\n"
                               "    return old\n"
                               "  end)\n"
                               "  if not done then kv.set('result', why) end\n"
                               "end\n");
    unsetenv("KV_TEST_STORE_OPTIONS");
    kv_test_store(port, "k", "1");
    kv_test_await_value(port, "result", "\"the store failed to read or write\"");
    kv_test_store(port, "l", "1");
    kv_test_await_value(port, "list", "[\"l\"]");
    stop(rig);
}

static void scan_matches_the_readme(void **state)
{
    struct rig *rig = *state;
    if (!kv_test_lists_in_order())
        kv_test_skip_for("keys are listed in the store's own order");
    start_and_run(rig,
                  "  for i = 1, 250 do assert(kv.set(('s/%04d'):format(i), {i})) end\n"
                  "  assert(kv.set('s0', 1))\n"
                  "  local function all(prefix, options)\n"
                  "    local keys = {}\n"
                  "    for key in kv.scan(prefix, options) do keys[#keys + 1] = key end\n"
                  "    return keys\n"
                  "  end\n"
                  "  local keys = all('s/')\n"
                  "  assert(#keys == 250)\n"
                  "  for i, key in ipairs(keys) do assert(key == ('s/%04d'):format(i)) end\n"
                  "  local n = 0\n"
                  "  for key, value, meta in kv.scan('s/', {values = true}) do\n"
                  "    n = n + 1\n"
                  "    assert(value[1] == n and meta.revision > 0 and meta.ttl == nil)\n"
                  "  end\n"
                  "  assert(n == 250)\n"
                  "  for _, value in kv.scan('s/', {limit = 1}) do assert(value == nil) end\n"
                  "  assert(#all('s/', {limit = 1}) == 1 and #all('s/', {limit = 100}) == 100)\n"
                  "  assert(#all('s/', {limit = 230}) == 230)\n"
                  "  keys = all('s/', {after = 's/0099', limit = 2})\n"
                  "  assert(#keys == 2 and keys[1] == 's/0100' and keys[2] == 's/0101')\n"
                  "  assert(all('s/', {after = 's/00995'})[1] == 's/0100')\n"
                  "  assert(#all('s/', {after = 's/0250'}) == 0 and #all('none/') == 0)\n"
                  "  assert(#all('s') == 251 and #all('') >= 251)\n"
                  "  n = 0\n"
                  "  for key in kv.scan('s/') do kv.delete(key) n = n + 1 end\n"
                  "  assert(n == 250 and #all('s/') == 0)\n"
                  "  assert(kv.set('ttl', 1, {ttl = '1h'}))\n"
                  "  for _, _, meta in kv.scan('ttl') do assert(meta.ttl > 3500000) end\n"
                  "  local function fails(text, ...)\n"
                  "    local ok, why = pcall(kv.scan, ...)\n"
                  "    assert(not ok and why:find(text, 1, true), why)\n"
                  "  end\n"
                  "  fails('string expected', 7)\n"
                  "  fails('there is no option size', '', {size = 1})\n"
                  "  fails('limit: a number of keys is expected', '', {limit = 0})\n"
                  "  fails('limit: a number of keys is expected', '', {limit = 1.5})\n"
                  "  fails('after: a key that begins with the prefix', 'a/', {after = 'b'})\n"
                  "  fails('after: a key that begins with the prefix', 'a/', {after = 1})\n"
                  "  local next_key = kv.scan('s')\n"
                  "  local ok, why = pcall(table.sort, {1, 2}, function() next_key() end)\n"
                  "  assert(not ok and why:find('kv.scan waits, and cannot be called'))\n");
    stop(rig);
}

/* ---- on_start ---- */

static void on_start_runs_in_steps_and_restarts_with_a_reload(void **state)
{
    struct rig *rig = *state;
    static const char script[] = "function on_start(progress)\n"
                                 "  assert(kv.depth() == 0 and kv.prefixes[1] == '')\n"
                                 "  local n = progress and progress.n or 0\n"
                                 "  for i = 1, 10000 do n = n + 1 end\n"
                                 "  kv.set('n', n)\n"
                                 "  if n < 2000000 then return {n = n} end\n"
                                 "  kv.incr('ended')\n"
                                 "end\n";
    uint16_t port = start(rig, script);
    bool has_twins = kv_test_has_twins(); /* then it is started at both */
    kv_test_await_value(port, "ended", has_twins ? "2" : "1");
    kv_test_expect_value(port, "n", "2000000");
    reload(rig);
    kv_test_await_value(port, "ended", has_twins ? "4" : "2");
    stop(rig);
}

/* Returns: 0 if the key is missing. */
static int read_number(uint16_t port, const char *key)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    char path[64];
    int number = 0;
    snprintf(path, sizeof(path), "/storage/%s", key);
    kv_test_stream_open(&stream, port);
    kv_test_http_ask(&stream, "GET", path, NULL, NULL, &response);
    kv_buffer_append_char(&response.body, '\0');
    sscanf(response.body.bytes, "{\"value\":%d}", &number);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    return number;
}

static void on_start_does_not_delay_the_end_of_the_server(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start_with(rig,
                               "timeouts: {drain: 1h}\n"
                               "scripts: [{file: '%s/hooks.lua'}]\n",
                               "function on_start() kv.incr('n') kv.get('n') return 1 end\n");
    while (read_number(port, "n") < 2)
        continue;
    stop(rig);
}

/* The calls of on_set that have ended at one server. */
static int read_ended_at_one(uint16_t port)
{
    static const char sample[] = "kvserver_hook_duration_seconds_count{";
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    int n = 0;
    kv_test_stream_open(&stream, port);
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/metrics", NULL, NULL, &response), 200);
    kv_buffer_append_char(&response.body, '\0');
    const char *at = strstr(response.body.bytes, sample);
    if (at != NULL)
        sscanf(strchr(at, '}'), "} %d", &n);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    return n;
}

/* The calls that have ended, without a look at the store, which may be slow itself. */
static int read_ended(uint16_t port)
{
    int n = 0;
    for (int i = 0; i < kv_test_n_servers(); i++)
        n += read_ended_at_one(port);
    return n;
}

/* Writes n keys, from number `first` on, whose hooks all come at once. Returns: the number of
 * answers that others got when some hooks had ended, and others had not. */
static int count_answers_beside_hooks(struct kv_test_ws *ws, uint16_t port, int first, int n)
{
    int n_answers = 0;
    for (int i = first; i < first + n; i++)
        kv_test_ws_put_text(ws, "{\"type\":\"set\",\"payload\":{\"key\":\"k%d\",\"value\":1}}", i);
    kv_test_stream_flush(&ws->stream);
    for (int n_ended = first; n_ended < first + n; n_ended = read_ended(port))
        n_answers += n_ended > first;
    return n_answers;
}

/* Each takes a millisecond. If the machine is busy, and this process does not run meanwhile, they
 * end unseen: then they are called again. */
static void slow_hooks_leave_the_loop_to_others(void **state)
{
    struct rig *rig = *state;
    enum {
        HOOKS = 300,
        ENOUGH_ANSWERS = 8, /* without turns for others, a few come when only one loop has ended */
        MOST_ROUNDS = 10
    };
    struct kv_test_ws ws;
    int n_answers = 0, n_hooks = 0;
    uint16_t port = start(rig, "function on_set() for i = 1, 400000 do end end\n");
    kv_test_ws_open(&ws, port);
    while (n_answers < ENOUGH_ANSWERS && n_hooks < MOST_ROUNDS * HOOKS) {
        n_answers = count_answers_beside_hooks(&ws, port, n_hooks, HOOKS);
        n_hooks += HOOKS;
        print_message("%d answers beside %d hooks\n", n_answers, HOOKS);
    }
    assert_true(n_answers >= ENOUGH_ANSWERS);
    assert_int_equal(read_ended(port), n_hooks);
    kv_test_ws_close(&ws);
    stop(rig);
}

/* ---- who writes ---- */

static void hooks_know_whether_a_client_writes(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start(rig, "assert(not pcall(kv.depth))\n"
                               "function before_set(key, value)\n"
                               "  if key == 'copy' then return {value, kv.depth()} end\n"
                               "  if kv.depth() ~= 0 then kv.refuse('not of hooks') end\n"
                               "end\n"
                               "function on_set(key, value)\n"
                               "  if key == 'k' then kv.set('copy', kv.depth()) end\n"
                               "  if key == 'copy' then kv.set('why', 1) kv.delete('why') "
                               "kv.log('tried') end\n"
                               "end\n"
                               "function on_delete() kv.log('deleted at', kv.depth()) end\n");
    kv_test_store(port, "k", "1");
    kv_test_await_value(port, "copy", "[0,1]");
    kv_test_await_log(&rig->server, "tried"); /* else it could delete the client's */
    kv_test_expect_missing(port, "why");
    kv_test_store(port, "why", "1");
    delete_key(port, "/storage/why");
    kv_test_settle(port);
    stop_and_expect(rig, "deleted at 0");
}

static void protected_keys_are_written_only_by_hooks(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start_with(rig, "scripts: [{file: '%s/hooks.lua', prefixes: [k]}]\n",
                               "kv.protect('own/') kv.protect('mine')\n"
                               "assert(not pcall(kv.protect, ''))\n"
                               "function on_set(key, value)\n"
                               "  kv.set('own/' .. key, value)\n"
                               "  kv.set('late', tostring(pcall(kv.protect, 'late')))\n"
                               "end\n"
                               "function on_delete(key) kv.delete('own/' .. key) end\n");
    struct kv_test_ws ws;
    static const char why[] =
        "keys that begin with \\\"own/\\\" are written by script/hooks.lua only";
    expect_refusal(port, "POST", "/storage/own/k", "{\"value\":1}", why);
    expect_refusal(port, "DELETE", "/storage/own/k", NULL, why);
    expect_refusal(port, "PATCH", "/storage/own/k", "{\"increment\":1}", why);
    kv_test_ws_open(&ws, port);
    kv_test_ws_send_text(&ws, "{\"type\":\"delete\",\"payload\":{\"key\":\"mine\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"error\",\"payload\":\"keys that begin with "
                           "\\\"mine\\\" are written by script/hooks.lua only\"}");
    kv_test_ws_close(&ws);
    kv_test_store(port, "own", "1");
    kv_test_store(port, "k", "1");
    kv_test_await_value(port, "own/k", "1");
    kv_test_await_value(port, "late", "\"false\"");
    expect_refusal(port, "POST", "/storage/own/k", "{\"value\":2}", why);
    kv_test_expect_value(port, "own/k", "1");
    delete_key(port, "/storage/k");
    while (kv_test_http_status(port, "GET", "/storage/own/k", NULL, NULL) != 204)
        kv_test_sleep_ms(1);
    write_script(rig, "function on_set() end\n");
    reload_and_await(rig, "hooks.lua: reloaded");
    while (kv_test_http_status(port, "POST", "/storage/own/k", NULL, "{\"value\":1}") != 202)
        kv_test_sleep_ms(1);
    stop(rig);
}

/* ---- several scripts ---- */

static void scripts_run_in_the_order_listed_for_their_prefixes(void **state)
{
    struct rig *rig = *state;
    kv_test_file_put(rig->folder, "one.lua",
                     "function before_set(key, value) return value .. '1' end\n"
                     "function on_set(key, value) kv.set('b/' .. key, value) end\n");
    kv_test_file_put(rig->folder, "two.lua",
                     "function before_set(key, value)\n"
                     "  if kv.get('no') == nil then return value .. '2' end\n"
                     "end\n");
    kv_test_start_in(&rig->server, rig->folder,
                     "scripts:\n"
                     "  - {file: '%s/one.lua', prefixes: [a/, c/]}\n"
                     "  - {file: '%s/two.lua', prefixes: [a/, b/]}\n");
    uint16_t port = rig->server.port;
    kv_test_store(port, "a/k", "\"\"");
    kv_test_store(port, "c/k", "\"\"");
    kv_test_store(port, "d/k", "\"\"");
    kv_test_expect_value(port, "a/k", "\"12\"");
    kv_test_expect_value(port, "c/k", "\"1\"");
    kv_test_expect_value(port, "d/k", "\"\"");
    kv_test_await_value(port, "b/a/k", "\"122\"");
    kv_test_await_value(port, "b/c/k", "\"12\"");
    kv_test_expect_missing(port, "b/d/k");
    stop(rig);
}

static void import_calls_no_hooks(void **state)
{
    struct rig *rig = *state;
    if (kv_test_uses_store("rocksdb") || kv_test_has_twins())
        skip(); /* a durable store ends after the import */
    write_script(rig, "function before_set() return 'changed' end\n"
                      "function on_set() kv.set('seen', 1) end\n");
    kv_test_file_put(rig->folder, "lines", "{\"key\":\"a\",\"value\":1}\n");
    char *yaml = kv_test_yaml(""), *lines = kv_test_path(rig->folder, "lines");
    struct kv_buffer text = {0};
    kv_buffer_printf(&text, "%sscripts: [{file: '%s/hooks.lua'}]\n", yaml, rig->folder);
    kv_buffer_append_char(&text, '\0');
    kv_test_server_start_importing(&rig->server, text.bytes, lines);
    kv_test_server_await_ready(&rig->server);
    kv_test_expect_value(rig->server.port, "a", "1");
    kv_test_expect_missing(rig->server.port, "seen");
    stop(rig);
    kv_buffer_fini(&text);
    free(yaml);
    free(lines);
}

/* ---- reloading ---- */

static void sighup_reloads_and_keeps_the_old_version_of_a_broken_script(void **state)
{
    struct rig *rig = *state;
    uint16_t port = start(rig, "function before_set() return 1 end\n");
    kv_test_store(port, "k", "0");
    kv_test_expect_value(port, "k", "1");
    write_script(rig, "function before_set() return 2 end\n");
    reload_and_await(rig, "hooks.lua: reloaded");
    kv_test_store(port, "k", "0");
    kv_test_await_value(port, "k", "2");
    write_script(rig, "function before_set() return 3 end\nreturn return\n");
    reload_and_await(rig, "hooks.lua:2: ");
    kv_test_await_log(&rig->server, "keeping the previous version");
    kv_test_store(port, "k", "0");
    kv_test_expect_value(port, "k", "2");
    write_script(rig, "while true do end\n");
    reload_and_await(rig, "stopped: exceeded the limit of ");
    kv_test_store(port, "k", "0");
    kv_test_expect_value(port, "k", "2");
    stop(rig);
}

static void reloading_under_load_loses_nothing(void **state)
{
    struct rig *rig = *state;
    static const char script[] = "function before_set(key, value)\n"
                                 "  if key == 'k' then kv.get('other') return value + 1 end\n"
                                 "end\n"
                                 "function on_set(key)\n"
                                 "  if key == 'k' then kv.get('other') kv.incr('n') end\n"
                                 "end\n";
    uint16_t port = start(rig, script);
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, port);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 50; i++) {
            kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":%d}}",
                                round * 50 + i);
            kv_test_ws_put_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"k\"}}");
        }
        kv_test_stream_flush(&ws.stream);
        write_script(rig, script);
        reload(rig);
        for (int i = 0; i < 50; i++)
            kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"k\",\"value\":%d}}",
                              round * 50 + i + 1);
    }
    kv_test_await_value(port, "n", "1000");
    kv_test_ws_close(&ws);
    stop(rig);
}

/* ---- configuration ---- */

static void expect_complaint(struct rig *rig, const char *scripts, const char *part)
{
    struct kv_test_outcome outcome;
    struct kv_buffer yaml = {0};
    kv_buffer_printf(&yaml, "modules: %s\n", getenv("KV_TEST_MODULES"));
    kv_buffer_printf(&yaml, scripts, rig->folder);
    kv_buffer_append_char(&yaml, '\0');
    kv_test_program_run_with_file("--check-config", yaml.bytes, &outcome);
    assert_int_equal(outcome.exit_code, 2);
    if (strstr(outcome.err, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, outcome.err);
    kv_test_outcome_fini(&outcome);
    kv_buffer_fini(&yaml);
}

static void faults_of_scripts_and_sinks_are_reported_with_their_place(void **state)
{
    struct rig *rig = *state;
#define ONE "scripts:\n  - file: '%s/hooks.lua'\n"
    expect_complaint(rig, ONE, "hooks.lua (scripts[0].file): No such file or directory");
    write_script(rig, "function before_set(\n");
    expect_complaint(rig, ONE, "hooks.lua:2: <name> or '...' expected near <eof>");
    write_script(rig, "x = 1\nfunction befor_set() end\n");
    expect_complaint(rig, ONE, "hooks.lua: it defines none of before_set, before_delete");
    write_script(rig, "local t = setmetatable({}, {\n__mode = 'k'})\nfunction on_set() end\n");
    expect_complaint(rig, ONE, "a metatable with __mode is not allowed");
    write_script(rig, "on_set = 5\n");
    expect_complaint(rig, ONE, "hooks.lua: on_set must be a function, not a number");
    write_script(rig, "function on_set() end\nerror('not ready')\n");
    expect_complaint(rig, ONE, "hooks.lua:2: not ready");
    write_script(rig, "\x1bLua");
    expect_complaint(rig, ONE, "attempt to load a binary chunk");
    write_script(rig, "function on_set() end\n");
    expect_complaint(rig, ONE "    options: [a]\n",
                     ":4:14: scripts[0].options: a mapping of names to texts is expected");
    expect_complaint(rig, ONE "    options: {a: [1]}\n",
                     "scripts[0].options.a: a text is expected");
    expect_complaint(rig, ONE "    on_error: ignore\n", "refuse");
#undef ONE
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(before_set_may_change_value_and_ttl),
        TEST(values_that_a_hook_does_not_change_keep_their_bytes),
        TEST(refusal_reaches_the_client_with_its_reason),
        TEST(hooks_see_what_a_patch_makes),
        TEST(failing_hook_refuses_or_passes_as_configured),
        TEST(unwritable_results_of_hooks_are_refused),
        TEST(waiting_hook_keeps_the_order_of_its_connection),
        TEST(client_that_leaves_while_its_hook_waits_is_harmless),
        TEST(conditions_are_evaluated_after_the_hook),
        TEST(server_keeps_serving_whatever_a_hook_does),
        TEST(no_handler_and_no_library_function_outlives_the_budget),
        TEST(server_ends_even_if_a_hook_does_not),
        TEST(hooks_that_write_without_end_leave_the_loop_to_others),
        TEST(waiting_where_impossible_is_refused_with_a_suggestion),
        TEST(limits_are_configured),
        TEST(sandbox_cannot_be_left),
        TEST(after_hooks_receive_the_change),
        TEST(hooks_receive_changes_of_a_key_in_sequence),
        TEST(hook_may_delete_the_key_it_is_called_for),
        TEST(nested_hooks_end_at_a_depth),
        TEST(failed_after_hook_is_logged_and_the_next_one_runs),
        TEST(writes_wait_for_slow_hooks),
        TEST(hooks_end_before_the_server_does),
        TEST(endless_hooks_cost_only_the_drain_time),
        TEST(api_matches_the_readme),
        TEST(values_keep_distinctions_of_json),
        TEST(counters_lose_nothing),
        TEST(update_matches_the_readme),
        TEST(no_update_of_a_contended_key_is_lost),
        TEST(slow_update_succeeds_beside_quick_ones),
        TEST(refusal_within_an_update_refuses_the_write),
        TEST(function_that_does_not_end_is_stopped),
        TEST(update_of_an_unreadable_value_writes_nothing),
        TEST(scan_matches_the_readme),
        TEST(on_start_runs_in_steps_and_restarts_with_a_reload),
        TEST(on_start_does_not_delay_the_end_of_the_server),
        TEST(slow_hooks_leave_the_loop_to_others),
        TEST(hooks_know_whether_a_client_writes),
        TEST(protected_keys_are_written_only_by_hooks),
        TEST(scripts_run_in_the_order_listed_for_their_prefixes),
        TEST(import_calls_no_hooks),
        TEST(sighup_reloads_and_keeps_the_old_version_of_a_broken_script),
        TEST(reloading_under_load_loses_nothing),
        TEST(faults_of_scripts_and_sinks_are_reported_with_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
