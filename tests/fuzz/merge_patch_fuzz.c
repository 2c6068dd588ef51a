/*
 * Merge patches compared with a model based on jansson. The input is the old value and the patch,
 * separated by an LF; if the first line is empty, there is no old value.
 */
#include <jansson.h>

#include "fuzz.h"
#include "wire/json.h"
#include "wire/merge_patch.h"

enum {
    DEPTH = 64
};

static json_t *load(struct kv_slice text)
{
    return json_loadb(text.bytes, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

/* RFC 7396, section 2. Returns: a new reference. */
static json_t *merge(const json_t *old, json_t *patch)
{
    if (!json_is_object(patch))
        return json_incref(patch);
    json_t *result = json_is_object(old) ? json_copy((json_t *)(uintptr_t)old) : json_object();
    const char *name;
    size_t len;
    json_t *value;
    json_object_keylen_foreach(patch, name, len, value)
    {
        if (json_is_null(value))
            json_object_deln(result, name, len);
        else
            json_object_setn_new(result, name, len,
                                 merge(json_object_getn(result, name, len), value));
    }
    return result;
}

/* For texts that jansson can read completely: it supports neither lone surrogates nor numbers of
 * any size. */
static void compare(struct kv_slice old, struct kv_slice patch, struct kv_slice result)
{
    json_t *old_json = old.bytes == NULL ? NULL : load(old);
    json_t *patch_json = load(patch), *result_json = load(result);
    if (patch_json != NULL && result_json != NULL && (old.bytes == NULL || old_json != NULL)) {
        json_t *expected = merge(old_json, patch_json);
        assert(json_equal(expected, result_json));
        json_decref(expected);
    }
    json_decref(old_json);
    json_decref(patch_json);
    json_decref(result_json);
}

static void check(struct kv_slice old, struct kv_slice patch)
{
    struct kv_buffer out = {0}, again = {0};
    struct kv_slice value;
    struct kv_json_error error;
    if (kv_merge_patch(old, patch, &out) == 0) {
        assert(out.len <= old.len + patch.len + 2);
        assert(kv_json_check(kv_buffer_slice(&out), 2 * DEPTH, &value, &error) == 0);
        compare(old, patch, kv_buffer_slice(&out));
        assert(kv_merge_patch(kv_buffer_slice(&out), patch, &again) == 0);
        if (kv_json_type_of(patch) != KV_JSON_OBJECT)
            assert(kv_slice_equals(kv_buffer_slice(&out), kv_buffer_slice(&again)));
    }
    kv_buffer_fini(&out);
    kv_buffer_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kv_slice text = fuzz_slice(bytes, len), old, patch;
    struct kv_json_error error;
    const char *lf = len == 0 ? NULL : memchr(text.bytes, '\n', len);
    if (lf == NULL)
        return 0;
    size_t at = (size_t)(lf - text.bytes);
    struct kv_slice first = {text.bytes, at}, second = {lf + 1, len - at - 1};
    if (kv_json_check(second, DEPTH, &patch, &error) != 0)
        return 0;
    if (at == 0)
        check((struct kv_slice){0}, patch);
    else if (kv_json_check(first, DEPTH, &old, &error) == 0)
        check(old, patch);
    return 0;
}
