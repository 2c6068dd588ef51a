/* Doubling growth; every append reserves first, so that the fast path is a bounds check. */
#include "base/buffer.h"

#include <stdlib.h>

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

void kv_buffer_trim(struct kv_buffer *buffer, size_t most)
{
    buffer->len = 0;
    if (buffer->capacity > most)
        kv_buffer_fini(buffer);
}

/* Two digits a step. */
void kv_buffer_append_u64(struct kv_buffer *buffer, uint64_t number)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char digits[20];
    size_t at = sizeof(digits);
    for (; number >= 100; number /= 100)
        memcpy(digits + (at -= 2), pairs + number % 100 * 2, 2);
    if (number >= 10)
        memcpy(digits + (at -= 2), pairs + number * 2, 2);
    else
        digits[--at] = (char)('0' + number);
    kv_buffer_append(buffer, (struct kv_slice){digits + at, sizeof(digits) - at});
}

void kv_buffer_printf(struct kv_buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len <= 0)
        return;
    char *room = kv_buffer_reserve(buffer, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(room, (size_t)len + 1, format, args);
    va_end(args);
    buffer->len += (size_t)len;
}
