/*
 * Queries: every value is UTF-8 within the decoded text, no longer than the input; every error has
 * a text.
 */
#include "fuzz.h"
#include "base/utf8.h"
#include "wire/query.h"

static const struct kv_slice names[] = {{"a", 1}, {"key", 3}};
static const struct kv_query_form form = {.names = names, .n_names = 2, .repeatable = 2};

static void check_value(struct kv_slice value, const struct kv_buffer *decoded)
{
    assert(kv_utf8_is_valid(value));
    assert(value.bytes >= decoded->bytes &&
           value.bytes + value.len <= decoded->bytes + decoded->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kv_buffer decoded = {0};
    struct kv_query query;
    struct kv_slice value;
    struct kv_error error = {.text = ""};
    int which, n = 0;
    assert(kv_query_begin(&query, &form, fuzz_slice(bytes, len), &decoded) == 0);
    const char *place = decoded.bytes;
    for (; (which = kv_query_next(&query, &value, &error)) >= 0; n += which == 0)
        check_value(value, &decoded);
    assert(n <= 1 && decoded.len <= len && decoded.bytes == place);
    assert(which == KV_QUERY_END ||
           (error.text[0] != '\0' && kv_utf8_is_valid(kv_slice_of(error.text))));
    kv_buffer_fini(&decoded);
    return 0;
}
