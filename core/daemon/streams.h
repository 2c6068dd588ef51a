/*
 * The three standard streams. If the program is started without one of them, the next file that is
 * opened would get its number, and output or log lines would be written into that file.
 */
#ifndef KV_DAEMON_STREAMS_H
#define KV_DAEMON_STREAMS_H

#include <stdbool.h>

/* Opens a substitute for each of the descriptors 0 to 2 that is closed; reading from it or writing
 * to it fails as before. Call first, before any file is opened.
 * Returns: 0, or -1 and errno. */
int kv_streams_occupy(void);

/* Whether standard input can be read, and standard output written. */
bool kv_streams_have_input(void);
bool kv_streams_have_output(void);

#endif
