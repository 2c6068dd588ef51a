/*
 * The last line of a file, which is read without moving the file's position.
 */
#ifndef KV_BASE_LAST_LINE_H
#define KV_BASE_LAST_LINE_H

#include <stddef.h>

#include <kvserver/types.h>

/* room: for the line, and the line feeds around it. Returns: the line without its line feed, in the
 * room; empty if the descriptor is not a regular file, or the line does not fit. */
struct kv_slice kv_last_line_read(int fd, char *room, size_t size);

#endif
