#include "buffer.h"

#include <assert.h>
#include <stdlib.h>

enum {
    FIRST_CAPACITY = 16 << 10,
    KEPT_CAPACITY = 1 << 20
};

static void move_to_front(struct buffer *buffer)
{
    if (buffer->at == 0)
        return;
    memmove(buffer->bytes, buffer->bytes + buffer->at, buffer->end - buffer->at);
    buffer->end -= buffer->at;
    buffer->at = 0;
}

bool buffer_reserve(struct buffer *buffer, size_t n)
{
    if (buffer->capacity - buffer->end >= n)
        return true;
    size_t needed;
    size_t capacity = buffer->capacity == 0 ? FIRST_CAPACITY : buffer->capacity;
    if (buffer->at != 0)
        move_to_front(buffer);
    if (__builtin_add_overflow(buffer->end, n, &needed))
        return false;
    while (capacity < needed)
        if (__builtin_mul_overflow(capacity, 2, &capacity))
            return false;
    if (capacity == buffer->capacity)
        return true;
    char *bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL)
        return false;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

void buffer_append(struct buffer *buffer, struct kv_slice bytes)
{
    assert(buffer->capacity - buffer->end >= bytes.len);
    if (bytes.len != 0)
        memcpy(buffer->bytes + buffer->end, bytes.bytes, bytes.len);
    buffer->end += bytes.len;
}

void buffer_consume(struct buffer *buffer, size_t n)
{
    buffer->at += n;
    if (buffer->at != buffer->end)
        return;
    buffer->at = buffer->end = 0;
    if (buffer->capacity > KEPT_CAPACITY)
        buffer_clear(buffer);
}

struct kv_slice buffer_slice(const struct buffer *buffer)
{
    return (struct kv_slice){buffer->bytes + buffer->at, buffer->end - buffer->at};
}

void buffer_clear(struct buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}
