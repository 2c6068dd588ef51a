/*
 * Whether a peer goes on reading what it is sent.
 */
#ifndef KV_LOOP_PROGRESS_H
#define KV_LOOP_PROGRESS_H

#include <stdint.h>

/* The bytes that the peer of a TCP socket has acknowledged so far; 0 where that can't be told. */
uint64_t kv_socket_bytes_acked(int fd);

#endif
