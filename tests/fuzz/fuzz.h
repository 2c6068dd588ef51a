/*
 * What every fuzz target includes. A target asserts what must hold for any bytes; the bytes are in
 * a block of exactly their size, so that a sanitizer sees every step beyond it.
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
