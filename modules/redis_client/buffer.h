/*
 * A queue of bytes: appended at the end, consumed at the front.
 */
#ifndef KV_REDIS_CLIENT_BUFFER_H
#define KV_REDIS_CLIENT_BUFFER_H

#include <kvserver/types.h>

/* Initialize it with zeros. */
struct buffer {
    char *bytes;
    size_t at; /* the start of the front */
    size_t end;
    size_t capacity;
};

/* Makes room for n bytes more. Returns: false if memory runs out. */
bool buffer_reserve(struct buffer *buffer, size_t n);

/* There must be room. */
void buffer_append(struct buffer *buffer, struct kv_slice bytes);

/* Takes n bytes off the front. A large buffer gives its memory back once it is empty. */
void buffer_consume(struct buffer *buffer, size_t n);

struct kv_slice buffer_slice(const struct buffer *buffer);
void buffer_clear(struct buffer *buffer);

#endif
