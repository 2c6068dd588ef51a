/*
 * Compressed messages: for any input, inflating in steps and at once gives the same result, within
 * the limit; and compressed output is shorter and inflates to the original.
 *
 * The lowest bit of an input's first byte determines whether the rest is to be inflated or
 * compressed; the other bits are the length of the steps or parts.
 */
#include "fuzz.h"
#include "wire/deflate.h"

enum {
    MOST = 1 << 20
};

static struct kv_inflater *inflater;
static struct kv_deflater *deflater;

static void inflate_both_ways(struct kv_slice bytes, size_t step)
{
    struct kv_buffer whole = {0}, steps = {0};
    enum kv_inflated outcome;
    size_t most = 0;
    kv_inflater_begin(inflater, bytes);
    enum kv_inflated expected = kv_inflate(inflater, MOST, &whole);
    assert(whole.len <= MOST + 1 && (expected == KV_INFLATED_MORE) == (whole.len == MOST + 1));
    kv_inflater_begin(inflater, bytes);
    do {
        most = most + step < MOST ? most + step : MOST;
        outcome = kv_inflate(inflater, most, &steps);
        assert(steps.len <= most + 1);
    } while (outcome == KV_INFLATED_MORE && most < MOST);
    assert(outcome == expected);
    if (outcome != KV_INFLATED_BROKEN)
        assert(kv_slice_equals(kv_buffer_slice(&whole), kv_buffer_slice(&steps)));
    kv_buffer_fini(&whole);
    kv_buffer_fini(&steps);
}

static void deflate_and_inflate(enum kv_deflate_form form, struct kv_slice text, size_t part)
{
    size_t first = part < text.len ? part : text.len;
    const struct kv_slice parts[] = {{text.bytes, first}, {text.bytes + first, text.len - first}};
    struct kv_buffer compressed = {0}, back = {0};
    if (kv_deflate(deflater, form, parts, 2, &compressed)) {
        assert(compressed.len < text.len);
        kv_inflater_begin(inflater, kv_buffer_slice(&compressed));
        assert(kv_inflate(inflater, text.len, &back) == KV_INFLATED_WHOLE);
        assert(kv_slice_equals(kv_buffer_slice(&back), text));
    }
    kv_buffer_fini(&compressed);
    kv_buffer_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    struct kv_slice rest = fuzz_slice(bytes + 1, len - 1);
    size_t step = 1 + (size_t)(bytes[0] / 2) * (bytes[0] / 2);
    if (inflater == NULL) {
        inflater = kv_inflater_create();
        deflater = kv_deflater_create();
    }
    if ((bytes[0] & 1) == 0)
        inflate_both_ways(rest, step);
    for (int form = 0; (bytes[0] & 1) != 0 && form < KV_DEFLATE_FORMS; form++)
        deflate_and_inflate(form, rest, step);
    return 0;
}
