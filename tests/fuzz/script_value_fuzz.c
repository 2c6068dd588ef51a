/*
 * JSON to Lua and back. A text that the scanner accepts is written as equivalent JSON: jansson
 * reads the same from both, if it accepts the first; and reading and writing the result again does
 * not change it.
 */
#include <jansson.h>
#include <stdlib.h>

#include "fuzz.h"
#include "script/load.h"
#include "script/value.h"
#include "wire/json.h"

#define ORACLE_FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL)

enum {
    DEPTH = 500
};

struct conversion {
    struct kv_slice json;
    struct kv_buffer out;
};

static int convert(lua_State *lua)
{
    struct conversion *conversion = lua_touserdata(lua, 1);
    kv_script_push_json(lua, conversion->json);
    kv_script_write_json(lua, -1, SIZE_MAX, &conversion->out);
    return 0;
}

static struct kv_buffer round_trip(struct kv_script_state *state, struct kv_slice json)
{
    struct conversion conversion = {.json = json};
    struct kv_error why;
    assert(kv_state_protect(state, convert, &conversion, &why));
    return conversion.out;
}

static void compare(struct kv_slice before, struct kv_slice after)
{
    json_error_t error;
    json_t *expected = json_loadb(before.bytes, before.len, ORACLE_FLAGS, &error);
    if (expected == NULL)
        return;
    json_t *read = json_loadb(after.bytes, after.len, ORACLE_FLAGS, &error);
    assert(read != NULL);
    assert(json_is_number(expected) ? json_number_value(read) == json_number_value(expected)
                                    : json_typeof(read) == json_typeof(expected));
    json_decref(expected);
    json_decref(read);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kv_slice text = fuzz_slice(bytes, len), value = {0};
    struct kv_json_error error;
    if (kv_json_check(text, DEPTH, &value, &error) != 0)
        return 0;
    const struct kv_script_config config = {
        .file = "fuzz",
        .limits = {.instructions = INT64_MAX, .time_us = INT64_MAX / 2, .memory = SIZE_MAX / 2}};
    struct kv_error why;
    struct kv_script_state *state =
        kv_script_load(&config, KV_SLICE("function on_set() end"), NULL, &why);
    struct kv_buffer once = round_trip(state, value);
    struct kv_buffer twice = round_trip(state, kv_buffer_slice(&once));
    struct kv_slice again;
    assert(kv_json_check(kv_buffer_slice(&once), DEPTH, &again, &error) == 0);
    assert(kv_slice_equals(kv_buffer_slice(&once), kv_buffer_slice(&twice)));
    compare(value, kv_buffer_slice(&once));
    kv_buffer_fini(&once);
    kv_buffer_fini(&twice);
    kv_state_unref(state);
    return 0;
}
