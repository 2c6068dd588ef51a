/*
 * A number is represented by its digits from the first that is not zero (the significant ones), and
 * the position of the point among them, which the exponent moves. The digits before the point are
 * read; for those after it, it only matters whether any is not zero.
 */
#include "wire/decimal.h"

enum {
    MOST_DIGITS = 18 /* before the point: these always fit into 64 bits, also rounded up */
};

/* More than the length of any text, and far from overflow when a length is added. */
#define FARTHEST_EXPONENT (INT64_C(1) << 60)

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* text: the part after the `e`. Returns: the exponent, limited to FARTHEST_EXPONENT. */
static int64_t read_exponent(struct kv_slice text)
{
    bool is_negative = text.bytes[0] == '-';
    size_t i = !is_digit(text.bytes[0]);
    int64_t exponent = 0;
    for (; i < text.len && exponent < FARTHEST_EXPONENT / 10; i++)
        exponent = exponent * 10 + (text.bytes[i] - '0');
    if (i < text.len)
        exponent = FARTHEST_EXPONENT;
    return is_negative ? -exponent : exponent;
}

/* Removes the exponent from the end of the number. */
static int64_t split_exponent(struct kv_slice *number)
{
    for (size_t i = 0; i < number->len; i++) {
        if (number->bytes[i] == 'e' || number->bytes[i] == 'E') {
            int64_t exponent =
                read_exponent((struct kv_slice){number->bytes + i + 1, number->len - i - 1});
            number->len = i;
            return exponent;
        }
    }
    return 0;
}

/* Removes the sign, zeros and point from the front. Returns: how many of the remaining digits are
 * before the point; below zero if zeros come between the point and them. */
static int64_t split_front(struct kv_slice *mantissa)
{
    const char *point = memchr(mantissa->bytes, '.', mantissa->len);
    const char *end = mantissa->bytes + mantissa->len;
    const char *first = mantissa->bytes;
    while (first < end && (*first < '1' || *first > '9'))
        first++;
    *mantissa = (struct kv_slice){first, (size_t)(end - first)};
    if (point == NULL)
        return end - first;
    return point > first ? point - first : point - first + 1;
}

struct kv_decimal kv_decimal_read(struct kv_slice number)
{
    bool has_sign = number.bytes[0] == '-';
    int64_t exponent = split_exponent(&number);
    int64_t n_whole = split_front(&number) + exponent;
    if (number.len == 0)
        return (struct kv_decimal){.is_whole = true};
    struct kv_decimal ret = {.is_negative = has_sign, .is_whole = true, .rounded = UINT64_MAX};
    if (n_whole > MOST_DIGITS)
        return ret;
    ret.rounded = 0;
    for (size_t i = 0; i < number.len; i++) {
        if (!is_digit(number.bytes[i]))
            continue;
        if (n_whole > 0)
            ret.rounded = ret.rounded * 10 + (uint64_t)(number.bytes[i] - '0');
        else if (number.bytes[i] != '0')
            ret.is_whole = false;
        n_whole--;
    }
    for (; n_whole > 0; n_whole--)
        ret.rounded *= 10;
    ret.rounded += !ret.is_whole;
    return ret;
}
