#include "wire/integer.h"

#include "base/digits.h"

/* Returns: whether the text has only digits, without a leading zero, and is at most
 * KV_INTEGER_MAX. */
static bool read_magnitude(const char *at, const char *end, uint64_t *ret)
{
    if (at == end || (*at == '0' && end - at > 1))
        return false;
    uint64_t magnitude = 0;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return false;
        uint64_t digit = (uint64_t)(*at - '0');
        if (magnitude > ((uint64_t)KV_INTEGER_MAX - digit) / 10)
            return false;
        magnitude = magnitude * 10 + digit;
    }
    *ret = magnitude;
    return true;
}

bool kv_integer_read(struct kv_slice text, int64_t *ret_integer)
{
    const char *end = text.bytes + text.len;
    bool is_negative = text.len > 0 && text.bytes[0] == '-';
    uint64_t magnitude;
    if (!read_magnitude(text.bytes + is_negative, end, &magnitude))
        return false;
    *ret_integer = is_negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return true;
}

bool kv_integer_add(int64_t a, int64_t b, int64_t *ret_sum)
{
    return !__builtin_add_overflow(a, b, ret_sum) && *ret_sum >= KV_INTEGER_MIN;
}

size_t kv_integer_write(char *at, int64_t integer)
{
    if (integer >= 0)
        return kv_digits_write(at, (uint64_t)integer);
    *at = '-';
    return 1 + kv_digits_write(at + 1, (uint64_t)-integer);
}
