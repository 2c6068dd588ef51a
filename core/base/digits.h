/*
 * Whole numbers in decimal digits.
 */
#ifndef KV_BASE_DIGITS_H
#define KV_BASE_DIGITS_H

#include <stddef.h>
#include <stdint.h>

enum {
    KV_DIGITS_MAX = 20 /* of a uint64_t */
};

/* Writes the digits, without a NUL. to: room for KV_DIGITS_MAX. Returns: how many there are. */
size_t kv_digits_write(char *to, uint64_t number);

#endif
