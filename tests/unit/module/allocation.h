/*
 * Allocations that fail on demand, for programs linked with --wrap=malloc, --wrap=aligned_alloc and
 * --wrap=reallocarray. To be included by one file of the program.
 */
#ifndef KV_TESTS_ALLOCATION_H
#define KV_TESTS_ALLOCATION_H

#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation from now on fails, once; 0: none fails. */
static size_t failing_allocation;

void *__real_malloc(size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__real_reallocarray(void *old, size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);

static bool fails_now(void)
{
    return failing_allocation != 0 && --failing_allocation == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails_now() ? NULL : __real_aligned_alloc(alignment, size);
}

void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
    return fails_now() ? NULL : __real_reallocarray(old, n, size);
}

#endif
