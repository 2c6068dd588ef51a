/*
 * The library doubles a buffer by copying it, which for a body of 100 MiB takes tens of
 * milliseconds of the loop's time. A block of 1 MiB is a separate mapping (daemon/process.c):
 * realloc() moves it by its page table, and all of it goes back to the system at once. So buffers
 * skip the sizes between small ones and that.
 */
#include "net/intake.h"

#include <stdlib.h>

#include "loop/evloop.h"

enum {
    LEAST_ROOM = 4096,
    LARGEST_SMALL = 100 << 10,
    MAPPED = 1 << 20,        /* the smallest capacity of large buffers */
    LARGEST_KEPT = 16 << 10, /* of an empty buffer */
};

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

void kv_intake_trim(h2o_buffer_t **buffer)
{
    if ((*buffer)->size != 0 || (*buffer)->capacity <= LARGEST_KEPT)
        return;
    h2o_buffer_dispose(buffer);
    h2o_buffer_init(buffer, &h2o_socket_buffer_prototype);
}
