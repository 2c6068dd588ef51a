/*
 * A script's state without a server: errors while it is compiled, and allocation failures at any
 * point.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lauxlib.h>

#include "script/load.h"
#include "script/value.h"

static struct kv_script_config config_with(size_t max_memory)
{
    return (struct kv_script_config){
        .file = "test.lua",
        .name = "script/test.lua",
        .limits = {.instructions = 100000, .time_us = 10000000, .memory = max_memory},
        .sizes = {.key = 1 << 10, .value = 1 << 20},
    };
}

static void expect_fault(const char *source, const char *fault)
{
    struct kv_script_config config = config_with(1 << 20);
    struct kv_error error = {0};
    assert_null(kv_script_load(&config, kv_slice_of(source), NULL, &error));
    if (strstr(error.text, fault) == NULL)
        fail_msg("expected \"%s\", got \"%s\"", fault, error.text);
}

static void tables_that_are_not_json_are_refused_with_a_reason(void **state)
{
    (void)state;
    expect_fault("kv.encode({1, 2, a = 3})",
                 "a table with both elements 1…n and names is neither an array nor an object");
    expect_fault("kv.encode({[1] = 1, [3] = 3})", "an array has no element 2 of 2");
    expect_fault("kv.encode({kv.log})", "a function cannot be converted to JSON");
}

static void faults_have_file_and_line(void **state)
{
    (void)state;
    expect_fault("\n\nx = = 1", "test.lua:3: unexpected symbol near '='");
    expect_fault("\nerror('no')", "test.lua:2: no");
    expect_fault("function on_set() end\nlocal x = nil\nx.y = 1", "test.lua:3: attempt to index");
    expect_fault("while true do end",
                 "test.lua:1: stopped: exceeded the limit of 100000 instructions");
    expect_fault("function on_set() end while true do pcall(error) end", "stopped: ");
    expect_fault("local t = {} for i = 1, 1e5 do t[i] = {i} end",
                 "test.lua: not enough memory (the limit is 1048576 bytes)");
    expect_fault("error({})", "test.lua: it raised a table");
    expect_fault("error('no', 0)", "test.lua: no");
    expect_fault("function on_set() end kv.get('a')", "kv.get may be called by hooks only");
}

/* Records the faults, one per line. */
struct told {
    struct kv_script_faults faults;
    char text[256];
};

static void add_fault(struct kv_script_faults *faults, const struct kv_script_config *config,
                      const char *option, const char *text)
{
    struct told *told = KV_CONTAINER(faults, struct told, faults);
    size_t len = strlen(told->text);
    (void)config;
    snprintf(told->text + len, sizeof(told->text) - len, "%s: %s\n", option, text);
}

static void faults_of_options_are_reported_one_by_one(void **state)
{
    (void)state;
    struct kv_script_config config = config_with(1 << 20);
    struct told told = {.faults = {.add = add_fault}};
    const struct kv_script_loading loading = {.faults = &told.faults};
    struct kv_error error = {0};
    assert_null(kv_script_load(&config,
                               KV_SLICE("kv.fault('a', 'one') kv.fault('', 'two') error('x')"),
                               &loading, &error));
    assert_string_equal(told.text, "a: one\n: two\n");
    assert_string_equal(error.text, ""); /* later errors result from these faults */
    expect_fault("kv.fault('a', 'one') kv.fault('b', 'two')", "test.lua: options.a: one");
    expect_fault("kv.fault('a')", "bad argument #2");
    expect_fault("kv.fault('a', '\\xff')", "a text is expected");
}

static void hooks_are_found_with_their_parameters(void **state)
{
    (void)state;
    struct kv_script_config config = config_with(1 << 20);
    struct kv_error error = {0};
    struct kv_script_state *script = kv_script_load(
        &config,
        KV_SLICE("function before_set(key) end function on_set(k, v, m) end on_delete = kv.log"),
        NULL, &error);
    assert_non_null(script);
    assert_int_equal(script->hooks[KV_HOOK_BEFORE_SET].n_parameters, 1);
    assert_int_equal(script->hooks[KV_HOOK_ON_SET].n_parameters, 3);
    assert_true(script->hooks[KV_HOOK_ON_DELETE].n_parameters >= 3);
    assert_false(kv_state_has(script, KV_HOOK_BEFORE_DELETE));
    assert_false(kv_state_has(script, KV_HOOK_ON_EXPIRE));
    kv_state_unref(script);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    size_t n_failed = 0, n_done = 0;
    for (size_t bytes = 0; bytes < 100000; bytes += 101) {
        struct kv_script_config config = config_with(bytes);
        struct kv_error error = {0};
        struct kv_script_state *script = kv_script_load(
            &config,
            KV_SLICE("local t = {} for i = 1, 100 do t[i] = {tostring(i)} end\n"
                     "x = kv.encode(kv.decode('{\"a\":[1,2.5,\"\\\\u0000\",1e400]}'))\n"
                     "function on_set() end"),
            NULL, &error);
        n_failed += script == NULL;
        n_done += script != NULL;
        kv_state_unref(script);
    }
    assert_true(n_failed > 100 && n_done > 100);
}

/* Runs a function with the text of a value in a state of its own. */
struct conversion {
    struct kv_slice json;
    struct kv_buffer out;
};

static int convert(lua_State *lua)
{
    struct conversion *conversion = lua_touserdata(lua, 1);
    kv_script_push_json(lua, conversion->json);
    kv_script_write_json(lua, -1, 1000, &conversion->out);
    return 0;
}

static void expect_conversion(const char *json, const char *expected)
{
    struct kv_script_config config = config_with(1 << 20);
    struct conversion conversion = {.json = kv_slice_of(json)};
    struct kv_error error = {0};
    struct kv_script_state *script =
        kv_script_load(&config, KV_SLICE("function on_set() end"), NULL, &error);
    bool is_done = kv_state_protect(script, convert, &conversion, &error);
    kv_buffer_append_char(&conversion.out, '\0');
    if (!is_done || strcmp(conversion.out.bytes, expected) != 0)
        fail_msg("%s: expected %s, got %s%s", json, expected, conversion.out.bytes, error.text);
    kv_buffer_fini(&conversion.out);
    kv_state_unref(script);
}

static void numbers_keep_their_value(void **state)
{
    (void)state;
    static const char *const same[] = {
        "0",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "0.1",
        "1e400",
        "-1e400",
        "123456789012345678901234567890",
        "0.30000000000000004",
        "5e-324",
        "1e-400",
        "3.141592653589793238",
        "-0.0001",
    };
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        expect_conversion(same[i], same[i]);
    expect_conversion("-0", "-0");
    expect_conversion("1.50", "1.5");
    expect_conversion("100e-2", "1");
    expect_conversion("1E+2", "100");
    expect_conversion("0e99999", "0");
}

static void structures_and_strings_are_canonical(void **state)
{
    (void)state;
    expect_conversion(" { \"b\" : [ ] , \"a\" : { } , \"\" : null } ",
                      "{\"\":null,\"a\":{},\"b\":[]}");
    expect_conversion("{\"a\":1,\"a\":2}", "{\"a\":2}");
    expect_conversion("[null,[null],false]", "[null,[null],false]");
    expect_conversion("\"\\u0041\\/\\n\\u001f\\u00e4\\ud83d\\ude00\"",
                      "\"A/\\n\\u001f\xc3\xa4\xf0\x9f\x98\x80\"");
    expect_conversion("\"\\ud800x\\udc00\"", "\"\\ud800x\\udc00\"");
    expect_conversion("\"\\ud83d\\ud83d\\ude00\"", "\"\\ud83d\xf0\x9f\x98\x80\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_that_are_not_json_are_refused_with_a_reason),
        cmocka_unit_test(faults_have_file_and_line),
        cmocka_unit_test(faults_of_options_are_reported_one_by_one),
        cmocka_unit_test(hooks_are_found_with_their_parameters),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(numbers_keep_their_value),
        cmocka_unit_test(structures_and_strings_are_canonical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
