/*
 * The library doubles a buffer by copying it, which for a body of 100 MiB takes tens of
 * milliseconds of the loop's time. A block of 1 MiB is a separate mapping (daemon/process.c):
 * realloc() moves it by its page table, and all of it goes back to the system at once. So buffers
 * skip the sizes between small ones and that. A connection whose input did not fit into a buffer of
 * the usual size begins its next one with a larger size.
 */
#include "net/intake.h"

#include <stdlib.h>

#include "loop/evloop.h"

enum {
    LEAST_ROOM = 4096,
    LARGEST_SMALL = 100 << 10,
    MAPPED = 1 << 20,  /* the smallest capacity of large buffers */
    USUAL = 8 << 10,   /* the library's for a first buffer */
    ROOMY = 2 * USUAL, /* for a first buffer after one that had to grow */
    MOST_SPARE = 16,   /* roomy buffers */
};

/* An empty buffer refers to the prototype of the next one. The library keeps spare ones, so a
 * pipeline is read at once into a buffer that is neither allocated nor copied. */
static __thread h2o_buffer_prototype_t roomy = {.allocator = {.max = MOST_SPARE},
                                                ._initial_buf = {.capacity = ROOMY}};

static size_t offset_of(const h2o_buffer_t *buffer)
{
    return (size_t)(buffer->bytes - buffer->_buf);
}

static size_t room_of(const h2o_buffer_t *buffer)
{
    return buffer->bytes == NULL ? 0 : buffer->capacity - offset_of(buffer) - buffer->size;
}

/* Returns: -1 if there is no memory. */
static int double_mapped(h2o_buffer_t **buffer)
{
    size_t offset = offset_of(*buffer);
    size_t capacity = (*buffer)->capacity * 2;
    h2o_buffer_t *larger = realloc(*buffer, offsetof(h2o_buffer_t, _buf) + capacity);
    if (larger == NULL)
        return -1;
    larger->bytes = larger->_buf + offset;
    larger->capacity = capacity;
    *buffer = larger;
    return 0;
}

/* If the front of the buffer is free, the library moves the contents there. */
static int make_room(h2o_buffer_t **buffer)
{
    const h2o_buffer_t *old = *buffer;
    if (old->bytes != NULL && old->capacity >= MAPPED && old->size > old->capacity / 4)
        return double_mapped(buffer);
    h2o_buffer_reserve(buffer,
                       old->bytes != NULL && old->size > LARGEST_SMALL ? MAPPED : LEAST_ROOM);
    return 0;
}

char *kv_intake_reserve(h2o_buffer_t **buffer, size_t *ret_len)
{
    if (room_of(*buffer) < LEAST_ROOM && make_room(buffer) != 0)
        return NULL;
    *ret_len = room_of(*buffer);
    return (*buffer)->bytes + (*buffer)->size;
}

size_t kv_intake_bytes(const h2o_buffer_t *buffer)
{
    if (buffer->bytes == NULL)
        return 0;
    return buffer->capacity < MAPPED ? buffer->capacity : offset_of(buffer) + buffer->size;
}

void kv_intake_consume(h2o_buffer_t **buffer, size_t len)
{
    const h2o_buffer_t *old = *buffer;
    if (old->size != len) {
        h2o_buffer_consume(buffer, len);
        return;
    }
    if (old->bytes == NULL)
        return;
    size_t filled = offset_of(old) + len;
    h2o_buffer_dispose(buffer);
    h2o_buffer_init(buffer, filled < USUAL ? &h2o_socket_buffer_prototype : &roomy);
}
