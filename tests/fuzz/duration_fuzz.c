/*
 * Durations: for any text, the result is within the limit, does not depend on letter case, and
 * doubles when the text is doubled, within the millisecond that rounding may add.
 */
#include <ctype.h>

#include "base/buffer.h"
#include "base/duration.h"
#include "fuzz.h"

#define MAX_MS ((INT64_C(1) << 53) - 1)

static int64_t parse(struct kv_slice text, int64_t max_ms)
{
    int64_t ms = 0;
    const char *what = NULL;
    if (kv_duration_parse(text, max_ms, &ms, &what) != 0) {
        assert(what != NULL);
        return -1;
    }
    assert(ms >= 0 && ms <= max_ms);
    return ms;
}

static void check_limits(struct kv_slice text, int64_t ms)
{
    assert(parse(text, ms) == ms);
    if (ms > 0)
        assert(parse(text, ms - 1) == -1);
}

static void check_letter_case(struct kv_slice text, int64_t ms)
{
    struct kv_buffer upper = {0};
    kv_buffer_append(&upper, text);
    for (size_t i = 0; i < upper.len; i++)
        upper.bytes[i] = (char)toupper((unsigned char)upper.bytes[i]);
    assert(parse(kv_buffer_slice(&upper), MAX_MS) == ms);
    kv_buffer_fini(&upper);
}

static void check_double(struct kv_slice text, int64_t ms)
{
    struct kv_buffer twice = {0};
    kv_buffer_append(&twice, text);
    kv_buffer_append_char(&twice, '\n');
    kv_buffer_append(&twice, text);
    int64_t twice_ms = parse(kv_buffer_slice(&twice), 2 * MAX_MS);
    /* A lone number is no longer one after doubling. */
    assert(twice_ms == 2 * ms || twice_ms == 2 * ms - 1 || twice_ms == -1);
    kv_buffer_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kv_slice text = fuzz_slice(bytes, len);
    int64_t ms = parse(text, MAX_MS);
    check_letter_case(text, ms);
    if (ms >= 0) {
        check_limits(text, ms);
        check_double(text, ms);
    }
    return 0;
}
