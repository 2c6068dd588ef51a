/*
 * A growable byte buffer, for texts of moderate size (messages, answers, printed configuration).
 */
#ifndef KV_BASE_BUFFER_H
#define KV_BASE_BUFFER_H

#include <stdarg.h>

#include <kvserver/types.h>

enum {
    KV_BUFFER_MAPPED = 1 << 20 /* blocks of this size and more are mappings of their own */
};

/* All zero is an empty buffer. Owns: `bytes`, until kv_buffer_fini(). */
struct kv_buffer {
    char *bytes;
    size_t len;
    size_t capacity;
};

void kv_buffer_fini(struct kv_buffer *buffer);

/* Grows it so that there is room for `more` bytes after `len`. */
void kv_buffer_grow(struct kv_buffer *buffer, size_t more);

/* Room for `more` bytes after `len`; the caller fills it and adds to `len`. */
static inline char *kv_buffer_reserve(struct kv_buffer *buffer, size_t more)
{
    if (buffer->capacity - buffer->len < more)
        kv_buffer_grow(buffer, more);
    return buffer->bytes + buffer->len;
}

/* The same for sizes that a client determines. Returns: NULL if there is no memory; then the buffer
 * is unchanged. */
char *kv_buffer_try_reserve(struct kv_buffer *buffer, size_t more);

/* The memory that it uses. Of a long buffer, pages that were never filled do not count. */
static inline size_t kv_buffer_bytes(const struct kv_buffer *buffer)
{
    return buffer->capacity < KV_BUFFER_MAPPED ? buffer->capacity : buffer->len;
}

/* Frees the memory beyond its length. */
void kv_buffer_fit(struct kv_buffer *buffer);

/* Empties it, and frees its memory if that is more than `most`. */
void kv_buffer_trim(struct kv_buffer *buffer, size_t most);

/* Copies bytes, not NULL, to a place with enough room. Returns: the end of the copy. */
static inline char *kv_put(char *at, struct kv_slice bytes)
{
    memcpy(at, bytes.bytes, bytes.len);
    return at + bytes.len;
}

static inline void kv_buffer_append(struct kv_buffer *buffer, struct kv_slice bytes)
{
    if (bytes.len == 0)
        return;
    memcpy(kv_buffer_reserve(buffer, bytes.len), bytes.bytes, bytes.len);
    buffer->len += bytes.len;
}

static inline void kv_buffer_append_char(struct kv_buffer *buffer, char byte)
{
    *kv_buffer_reserve(buffer, 1) = byte;
    buffer->len++;
}

void kv_buffer_append_u64(struct kv_buffer *buffer, uint64_t number);
/* Append the text, without a NUL. */
void kv_buffer_printf(struct kv_buffer *buffer, const char *format, ...) KV_PRINTF(2, 3);
void kv_buffer_vprintf(struct kv_buffer *buffer, const char *format, va_list args) KV_PRINTF(2, 0);

static inline struct kv_slice kv_buffer_slice(const struct kv_buffer *buffer)
{
    return (struct kv_slice){.bytes = buffer->bytes, .len = buffer->len};
}

#endif
