/*
 * The three standard streams. Where the program is started without one of them, the next file that
 * is opened would take its number, and what is printed or logged would be written into that file.
 */
#ifndef KV_DAEMON_STREAMS_H
#define KV_DAEMON_STREAMS_H

#include <stdbool.h>

/* Puts something on each of the descriptors 0 to 2 that is closed; reading from it or writing to it
 * fails as before. Call first, before any file is opened.
 * Returns: 0, or -1 and errno. */
int kv_streams_occupy(void);

/* Whether the standard input can be read, and the standard output be written. */
bool kv_streams_have_input(void);
bool kv_streams_have_output(void);

#endif
