/*
 * Included by every fuzz target. A target asserts invariants for any bytes; the bytes are in a
 * block of exactly their size, so that a sanitizer detects any access beyond it.
 */
#ifndef KV_TESTS_FUZZ_H
#define KV_TESTS_FUZZ_H

#include <assert.h>

#include <kvserver/types.h>

/* Returns: 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static inline struct kv_slice fuzz_slice(const uint8_t *bytes, size_t len)
{
    return (struct kv_slice){(const char *)bytes, len};
}

#endif
