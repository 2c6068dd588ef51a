/*
 * Converts eight digits at a time, in one word: a number is split into halves of four, two and one
 * digit, all in parallel, by multiplying with the reciprocals of 100 and 10.
 */
#include "base/digits.h"

#include <endian.h>
#include <string.h>

enum {
    DIGITS_A_WORD = 8
};

#define TEN_TO_THE_8 100000000u

/* The digits of a number below 10^8, as byte values; the first digit in the lowest byte. */
static inline uint64_t split(uint32_t number)
{
    uint64_t fours = number / 10000 | (uint64_t)(number % 10000) << 32;
    uint64_t hundreds = (fours * 10486 >> 20) & UINT64_C(0x0000007f0000007f);
    uint64_t twos = hundreds | (fours - hundreds * 100) << 16;
    uint64_t tens = (twos * 103 >> 10) & UINT64_C(0x000f000f000f000f);
    return tens | (twos - tens * 10) << 8;
}

static inline void write_word(char *to, uint64_t digits)
{
    digits = htole64(digits | UINT64_C(0x3030303030303030));
    memcpy(to, &digits, sizeof(digits));
}

/* Without leading zeros, except for the number 0; the bytes after the digits are undefined. */
static inline size_t write_first(char *to, uint32_t number)
{
    uint64_t digits = split(number);
    size_t n_zeros = (size_t)__builtin_ctzll(digits | UINT64_C(1) << 56) / 8;
    write_word(to, digits >> n_zeros * 8);
    return DIGITS_A_WORD - n_zeros;
}

static inline size_t write_rest(char *to, size_t n, uint64_t rest)
{
    write_word(to + n, split((uint32_t)rest));
    return n + DIGITS_A_WORD;
}

/* Most numbers are short, for example lengths of small values. */
static inline size_t write_few(char *to, unsigned number)
{
    size_t n = 0;
    if (number >= 10)
        to[n++] = (char)('0' + number / 10);
    to[n++] = (char)('0' + number % 10);
    return n;
}

size_t kv_digits_write(char *to, uint64_t number)
{
    if (number < 100)
        return write_few(to, (unsigned)number);
    if (number < TEN_TO_THE_8)
        return write_first(to, (uint32_t)number);
    uint64_t first = number / TEN_TO_THE_8;
    size_t n = first < TEN_TO_THE_8
                   ? write_first(to, (uint32_t)first)
                   : write_rest(to, write_first(to, (uint32_t)(first / TEN_TO_THE_8)),
                                first % TEN_TO_THE_8);
    return write_rest(to, n, number % TEN_TO_THE_8);
}
