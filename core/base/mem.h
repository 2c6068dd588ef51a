/*
 * Memory for things of bounded, small size. Running out of it there ends the process with a
 * message: no state is half done, and a supervisor starts it anew. What a client can make large
 * (values, keys, bodies) goes through kv_try_alloc() and is refused instead.
 */
#ifndef KV_BASE_MEM_H
#define KV_BASE_MEM_H

#include <stddef.h>

/* Like malloc, calloc and realloc, but never NULL. Owns: the caller, by free(). */
void *kv_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *kv_calloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *kv_realloc(void *old, size_t size) __attribute__((returns_nonnull));
char *kv_strdup(const char *text) __attribute__((malloc, returns_nonnull));
void *kv_memdup(const void *bytes, size_t len) __attribute__((malloc, returns_nonnull));

/* For what a client can make large. Returns: NULL where there is no memory. */
void *kv_try_alloc(size_t size) __attribute__((malloc));

/* The struct that holds the member. */
#define KV_CONTAINER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* Zeroes the memory. Compilers turn a memset() whose size is a constant of some hundred bytes into
 * `rep stos`, which is slow to start; on a path that every request takes this is quicker. */
void kv_clear(void *memory, size_t size);

#endif
