/*
 * Reads JSON numbers exactly, whatever their number of digits and the size of their exponent.
 */
#ifndef KV_WIRE_DECIMAL_H
#define KV_WIRE_DECIMAL_H

#include <kvserver/types.h>

/* The magnitude of a number, rounded up to a whole one. */
struct kv_decimal {
    bool is_negative; /* below zero: -0 is not */
    bool is_whole;    /* nothing was rounded */
    uint64_t rounded; /* UINT64_MAX if it has more than 18 digits */
};

/* number: has passed the JSON scanner. */
struct kv_decimal kv_decimal_read(struct kv_slice number);

#endif
