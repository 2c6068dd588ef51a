/*
 * Digits: whole numbers in decimal, hexadecimal digits, and percent-encoded bytes.
 */
#ifndef KV_BASE_DIGITS_H
#define KV_BASE_DIGITS_H

#include <stddef.h>
#include <stdint.h>

enum {
    KV_DIGITS_MAX = 20 /* for a uint64_t */
};

/* Writes the digits, without a NUL. to: room for KV_DIGITS_MAX, all of which may be overwritten.
 * Returns: the number of digits. */
size_t kv_digits_write(char *to, uint64_t number);

/* Returns: the value of a hexadecimal digit, 0 to 15; -1 for any other byte. */
static inline int kv_digits_hex(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

/* at: the `%` of a percent-encoded byte. Returns: the byte; -1 if it is malformed. */
static inline int kv_digits_percent(const char *at, const char *end)
{
    if (end - at < 3)
        return -1;
    int high = kv_digits_hex(at[1]);
    int low = kv_digits_hex(at[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

#endif
