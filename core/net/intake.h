/*
 * The input buffer of a socket: libh2o's, as the library requires, but large ones grow without
 * being copied, and the system allocates their pages only as they are filled.
 *
 * Threads: the loop's.
 */
#ifndef KV_NET_INTAKE_H
#define KV_NET_INTAKE_H

#include <stddef.h>

struct st_h2o_buffer_t;

/* Room after the buffer's contents, of at least some KiB. Returns: NULL if there is no memory;
 * otherwise *ret_len: its length. */
char *kv_intake_reserve(struct st_h2o_buffer_t **buffer, size_t *ret_len);

/* The memory that it uses. */
size_t kv_intake_bytes(const struct st_h2o_buffer_t *buffer);

/* Drops bytes from the front. An empty buffer has no memory. */
void kv_intake_consume(struct st_h2o_buffer_t **buffer, size_t len);

#endif
