/* Allocation that cannot fail: only here it is decided what happens when memory runs out. */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *or_abort(void *memory, size_t size)
{
    if (memory == NULL) {
        fprintf(stderr, "kvserver: out of memory for %zu bytes\n", size);
        abort();
    }
    return memory;
}

void *kv_alloc(size_t size)
{
    return or_abort(malloc(size == 0 ? 1 : size), size);
}

void *kv_calloc(size_t n, size_t size)
{
    return or_abort(calloc(n == 0 ? 1 : n, size), n * size);
}

void *kv_realloc(void *old, size_t size)
{
    return or_abort(realloc(old, size == 0 ? 1 : size), size);
}

void *kv_alloc_lines(size_t size)
{
    return or_abort(aligned_alloc(KV_CACHE_LINE, size), size);
}

char *kv_strdup(const char *text)
{
    return kv_memdup(text, strlen(text) + 1);
}

void *kv_memdup(const void *bytes, size_t len)
{
    void *copy = kv_alloc(len);
    if (len != 0)
        memcpy(copy, bytes, len);
    return copy;
}

void *kv_try_alloc(size_t size)
{
    return malloc(size == 0 ? 1 : size);
}

/* Hides the size from the compiler, which would see the constant when it optimises across files. */
void kv_clear(void *memory, size_t size)
{
    __asm__("" : "+r"(size));
    memset(memory, 0, size);
}
