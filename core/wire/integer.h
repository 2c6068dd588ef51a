/*
 * The integers of increments: `-?(0|[1-9][0-9]*)`, from -(2^63-1) to 2^63-1. No other spelling is
 * accepted.
 */
#ifndef KV_WIRE_INTEGER_H
#define KV_WIRE_INTEGER_H

#include <kvserver/types.h>

#define KV_INTEGER_MAX INT64_MAX
#define KV_INTEGER_MIN (-INT64_MAX)

enum {
    KV_INTEGER_ROOM = 21 /* for a sign and the digits of kv_digits_write() */
};

/* Whether the whole text is such an integer; white space is not accepted. */
bool kv_integer_read(struct kv_slice text, int64_t *ret_integer);

/* Whether the sum is within the range. */
bool kv_integer_add(int64_t a, int64_t b, int64_t *ret_sum);

/* at: room for KV_INTEGER_ROOM. Returns: the length of the text. */
size_t kv_integer_write(char *at, int64_t integer);

#endif
