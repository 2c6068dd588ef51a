/*
 * The standard output of kvctl. If its reader has closed it, kvctl ends by SIGPIPE, like any
 * filter; any other write error ends kvctl with a message.
 */
#ifndef KV_KVCTL_OUTPUT_H
#define KV_KVCTL_OUTPUT_H

#include "base/buffer.h"

/* Ignores SIGPIPE from now on, because of sockets; the functions below raise it if necessary. */
void kv_ctl_output_begin(void);

void kv_ctl_put(struct kv_slice bytes);
void kv_ctl_putf(const char *format, ...) KV_PRINTF(1, 2);

/* JSON text for people: on a terminal, control characters within its strings are escaped. */
void kv_ctl_put_json_text(struct kv_slice json);

/* The same on one line: line feeds in its white space become blanks. */
void kv_ctl_put_json_line(struct kv_slice json);

/* A key for people: as it is, or as a JSON string with escapes if it is empty, has control
 * characters (which could be mistaken), or begins with a quote. */
void kv_ctl_put_key_text(struct kv_slice key);
void kv_ctl_append_key_text(struct kv_buffer *out, struct kv_slice key);

void kv_ctl_put_json_string(struct kv_slice utf8);

/* Writes all output that is still buffered. */
void kv_ctl_output_flush(void);

#endif
