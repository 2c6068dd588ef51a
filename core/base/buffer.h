/*
 * A growable byte buffer, for texts of moderate size (messages, answers, printed configuration).
 */
#ifndef KV_BASE_BUFFER_H
#define KV_BASE_BUFFER_H

#include <kvserver/types.h>

/* All zero is an empty buffer. Owns: `bytes`, until kv_buffer_fini(). */
struct kv_buffer {
    char *bytes;
    size_t len;
    size_t capacity;
};

void kv_buffer_fini(struct kv_buffer *buffer);

/* Room for `more` bytes behind `len`, which the caller fills and then adds to `len`. */
char *kv_buffer_reserve(struct kv_buffer *buffer, size_t more);

/* The same for what a client can make large. Returns: NULL where there is no memory; the buffer is
 * then as it was. */
char *kv_buffer_try_reserve(struct kv_buffer *buffer, size_t more);

/* Empties it, and gives its memory back where that is more than `most`. */
void kv_buffer_trim(struct kv_buffer *buffer, size_t most);

void kv_buffer_append(struct kv_buffer *buffer, struct kv_slice bytes);
void kv_buffer_append_char(struct kv_buffer *buffer, char byte);
void kv_buffer_append_u64(struct kv_buffer *buffer, uint64_t number);
void kv_buffer_printf(struct kv_buffer *buffer, const char *format, ...) KV_PRINTF(2, 3);

static inline struct kv_slice kv_buffer_slice(const struct kv_buffer *buffer)
{
    return (struct kv_slice){.bytes = buffer->bytes, .len = buffer->len};
}

#endif
