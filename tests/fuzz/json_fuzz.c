/*
 * The scanner compared with jansson. The scanner must accept every text that jansson accepts, and
 * both must read the same from it; only a NUL byte after a number or a word is refused by the
 * scanner and ignored by jansson, whose reader cannot put it back. jansson must accept every text
 * that the scanner accepts, with these exceptions:
 *
 *  - numbers out of its range (`1e400`, `99999999999999999999`): ours are text of any size;
 *  - `\u0000` in a member's name: its names are C strings;
 *  - a lone surrogate escape: legal by the grammar of RFC 8259, and kept as text by us;
 *  - nesting deeper than its own limit of 2048 values: ours is the caller's.
 *
 * For duplicate members, both use the last one. Neither accepts a byte order mark, invalid UTF-8,
 * or anything but the four white-space characters around the value.
 */
#include <jansson.h>
#include <stdlib.h>

#include "fuzz.h"
#include "wire/json.h"
#include "wire/json_string.h"

#define ORACLE_FLAGS (JSON_DECODE_ANY | JSON_ALLOW_NUL)

static bool is_known_difference(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_numeric_overflow:
    case json_error_null_byte_in_key:
    case json_error_stack_overflow:
        return true;
    default:
        return strncmp(error->text, "invalid Unicode '\\u", 19) == 0;
    }
}

/* The same value, read from its slice alone. */
static void assert_same(struct kv_slice value, const json_t *expected)
{
    json_error_t error;
    json_t *read = json_loadb(value.bytes, value.len, ORACLE_FLAGS, &error);
    assert(read != NULL && json_equal(read, expected));
    json_decref(read);
}

static void compare_string(struct kv_slice value, const json_t *expected)
{
    struct kv_buffer text = {0}, again = {0};
    assert(kv_json_unescape(value, &text) == 0);
    struct kv_slice bytes = {json_string_value(expected), json_string_length(expected)};
    assert(kv_slice_equals(kv_buffer_slice(&text), bytes));
    assert(kv_json_string_equals(value, bytes));
    kv_json_append_string(&again, bytes);
    assert_same(kv_buffer_slice(&again), expected);
    kv_buffer_fini(&text);
    kv_buffer_fini(&again);
}

static void compare_array(struct kv_slice value, const json_t *expected)
{
    struct kv_slice element;
    struct kv_json_error error;
    size_t at = 0, n = 0;
    while (kv_json_read_array(value, KV_JSON_MAX_DEPTH, &at, &element, &error) == 1) {
        /* The rest would take quadratic time in deeply nested texts. */
        if (n < 8)
            assert_same(element, json_array_get(expected, n));
        n++;
    }
    assert(n == json_array_size(expected));
}

static const struct kv_json_field fields[] = {
    {.name = {"a", 1}},
    {.name = {"bc", 2}},
    {.name = {"d", 1}, .members_ahead = 1, .n_members = 2},
    {.name = {"a", 1}},
    {.name = {"\xc3\xa4", 2}},
};

enum {
    N_OUTER = 3,
    N_FIELDS = sizeof(fields) / sizeof(fields[0])
};

static void compare_field(size_t i, const struct kv_slice *values, const json_t *object)
{
    const json_t *expected = json_object_get(object, fields[i].name.bytes);
    assert((values[i].bytes == NULL) == (expected == NULL));
    if (expected != NULL)
        assert_same(values[i], expected);
    for (size_t j = 0; j < fields[i].n_members; j++)
        compare_field(i + fields[i].members_ahead + j, values, expected);
}

static void compare_object(struct kv_slice value, const json_t *expected)
{
    struct kv_json_error error;
    struct kv_slice values[N_FIELDS] = {0};
    assert(kv_json_read_object(value, KV_JSON_MAX_DEPTH, fields, N_OUTER, values, &error) == 0);
    for (size_t i = 0; i < N_OUTER; i++)
        compare_field(i, values, expected);
}

static void compare(struct kv_slice value, const json_t *expected)
{
    switch (json_typeof(expected)) {
    case JSON_STRING:
        compare_string(value, expected);
        break;
    case JSON_ARRAY:
        compare_array(value, expected);
        break;
    case JSON_OBJECT:
        compare_object(value, expected);
        break;
    default:
        assert_same(value, expected);
    }
}

/* For texts that jansson refuses: only that the functions agree with each other. */
static void read_alone(struct kv_slice text, bool is_accepted)
{
    struct kv_json_error error = {0};
    struct kv_slice values[N_FIELDS] = {0};
    int rc = kv_json_read_object(text, KV_JSON_MAX_DEPTH, fields, N_OUTER, values, &error);
    assert(is_accepted ? rc == 0 || error.what == KV_JSON_NOT_OBJECT
                       : rc != 0 && error.what != KV_JSON_NOT_OBJECT);
    assert(rc == 0 || error.offset <= text.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kv_slice text = fuzz_slice(bytes, len), value = {0};
    struct kv_json_error error;
    bool is_accepted = kv_json_check(text, KV_JSON_MAX_DEPTH, &value, &error) == 0;
    json_error_t oracle_error;
    json_t *expected = json_loadb(text.bytes, len, ORACLE_FLAGS, &oracle_error);
    read_alone(text, is_accepted);
    if (expected != NULL && is_accepted) {
        compare(value, expected);
    } else if (expected != NULL) {
        assert(memchr(text.bytes, '\0', len) != NULL);
    } else if (is_accepted) {
        assert(is_known_difference(&oracle_error));
    } else {
        assert(error.offset <= len);
    }
    json_decref(expected);
    return 0;
}
