/*
 * The buffer that a socket's input is collected in: libh2o's, as that is what the library is given,
 * but large ones grow without being copied, and their pages are taken from the system only as they
 * are filled.
 *
 * Threads: the loop's.
 */
#ifndef KV_NET_INTAKE_H
#define KV_NET_INTAKE_H

#include <stddef.h>

struct st_h2o_buffer_t;

/* Room behind what is in the buffer, of at least some KiB. Returns: NULL where there is no memory;
 * otherwise *ret_len: how much. */
char *kv_intake_reserve(struct st_h2o_buffer_t **buffer, size_t *ret_len);

/* The memory that it keeps in use. */
size_t kv_intake_bytes(const struct st_h2o_buffer_t *buffer);

/* Gives the memory back where nothing is in it. */
void kv_intake_trim(struct st_h2o_buffer_t **buffer);

#endif
