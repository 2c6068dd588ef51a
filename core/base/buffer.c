/* Doubling growth; every append reserves first, so that the fast path is a bounds check. */
#include "base/buffer.h"

#include <stdlib.h>

#include "base/digits.h"
#include "base/mem.h"

void kv_buffer_fini(struct kv_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct kv_buffer){0};
}

static size_t capacity_for(const struct kv_buffer *buffer, size_t more)
{
    size_t capacity = buffer->capacity == 0 ? 64 : buffer->capacity;
    while (capacity - buffer->len < more)
        capacity *= 2;
    return capacity;
}

void kv_buffer_grow(struct kv_buffer *buffer, size_t more)
{
    size_t capacity = capacity_for(buffer, more);
    buffer->bytes = kv_realloc(buffer->bytes, capacity);
    buffer->capacity = capacity;
}

char *kv_buffer_try_reserve(struct kv_buffer *buffer, size_t more)
{
    if (buffer->capacity - buffer->len < more) {
        size_t capacity = capacity_for(buffer, more);
        char *bytes = realloc(buffer->bytes, capacity);
        if (bytes == NULL)
            return NULL;
        buffer->bytes = bytes;
        buffer->capacity = capacity;
    }
    return buffer->bytes + buffer->len;
}

void kv_buffer_fit(struct kv_buffer *buffer)
{
    char *bytes = buffer->len == 0 ? NULL : realloc(buffer->bytes, buffer->len);
    if (bytes == NULL)
        return;
    buffer->bytes = bytes;
    buffer->capacity = buffer->len;
}

void kv_buffer_trim(struct kv_buffer *buffer, size_t most)
{
    buffer->len = 0;
    if (buffer->capacity > most)
        kv_buffer_fini(buffer);
}

void kv_buffer_append_u64(struct kv_buffer *buffer, uint64_t number)
{
    buffer->len += kv_digits_write(kv_buffer_reserve(buffer, KV_DIGITS_MAX), number);
}

void kv_buffer_vprintf(struct kv_buffer *buffer, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    if (len > 0) {
        vsnprintf(kv_buffer_reserve(buffer, (size_t)len + 1), (size_t)len + 1, format, again);
        buffer->len += (size_t)len;
    }
    va_end(again);
}

void kv_buffer_printf(struct kv_buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    kv_buffer_vprintf(buffer, format, args);
    va_end(args);
}
