/*
 * Memory for objects of bounded, small size. If it runs out, the process ends with a message: no
 * state is left incomplete, and a supervisor restarts it. Objects whose size a client determines
 * (values, keys, bodies) use kv_try_alloc(), and are refused instead.
 */
#ifndef KV_BASE_MEM_H
#define KV_BASE_MEM_H

#include <stddef.h>

enum {
    KV_CACHE_LINE = 64
};

/* Like malloc, calloc and realloc, but never NULL. Owns: the caller, by free(). */
void *kv_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *kv_calloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *kv_realloc(void *old, size_t size) __attribute__((returns_nonnull));
/* Like kv_alloc(), at the start of a line of the cache. size: whole lines. */
void *kv_alloc_lines(size_t size) __attribute__((malloc, returns_nonnull));
char *kv_strdup(const char *text) __attribute__((malloc, returns_nonnull));
void *kv_memdup(const void *bytes, size_t len) __attribute__((malloc, returns_nonnull));

/* For sizes that a client determines. Returns: NULL if there is no memory. */
void *kv_try_alloc(size_t size) __attribute__((malloc));

/* The struct that contains the member. */
#define KV_CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* Zeroes the memory. Compilers turn a memset() with a constant size of some hundred bytes into `rep
 * stos`, which is slow to start; on a path that every request takes this function is faster. */
void kv_clear(void *memory, size_t size);

#endif
