/*
 * TTLs: any JSON value is accepted or refused with a message; numbers are compared with the C
 * library's result, as far as that is exact.
 */
#include <math.h>
#include <stdlib.h>

#include <kvserver/ttl.h>

#include "base/buffer.h"
#include "fuzz.h"
#include "wire/json.h"
#include "wire/ttl.h"
#include "base/utf8.h"

/* Relative, with room for the rounding of the number and of the comparison. */
static const long double precision = 4 * __LDBL_EPSILON__;

static long double read_by_the_library(struct kv_slice number)
{
    struct kv_buffer text = {0};
    kv_buffer_append(&text, number);
    kv_buffer_append_char(&text, '\0');
    long double result = strtold(text.bytes, NULL);
    kv_buffer_fini(&text);
    return result;
}

static void check_number(struct kv_slice number, int rc, int64_t ms)
{
    long double expected = read_by_the_library(number);
    long double margin = fabsl(expected) * precision;
    if (rc != 0)
        assert(expected < 0 || number.bytes[0] == '-' || expected + margin > KV_TTL_MAX_MS);
    else
        assert((long double)ms >= expected - margin && (long double)ms - 1 <= expected + margin);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct kv_slice value;
    struct kv_json_error json_error;
    struct kv_error error = {.text = ""};
    if (kv_json_check(fuzz_slice(bytes, len), 64, &value, &json_error) != 0)
        return 0;
    int64_t ms = -1;
    int rc = kv_ttl_parse(value, &ms, &error);
    if (rc == 0)
        assert(ms >= 0 && ms <= KV_TTL_MAX_MS);
    else
        assert(ms == -1 && error.text[0] != '\0' && kv_utf8_is_valid(kv_slice_of(error.text)));
    if (kv_json_type_of(value) == KV_JSON_NUMBER)
        check_number(value, rc, ms);
    return 0;
}
