/*
 * Lines of the log that are held back until they are true (log.h).
 *
 * Threads: one thread at a time.
 */
#ifndef KV_BASE_LOG_LINES_H
#define KV_BASE_LOG_LINES_H

#include "base/buffer.h"

/* All zero: no lines. Owns: the text, until kv_log_lines_fini(). It has of each line a byte with
 * the level, then the subject and the message, each of which ends with a NUL. */
struct kv_log_lines {
    struct kv_buffer text;
};

/* The parameters are those of kv_log(); they are copied. */
void kv_log_lines_add(struct kv_log_lines *lines, enum kv_log_level level, const char *subject,
                      const char *format, ...) KV_PRINTF(4, 5);

/* Logs the lines, in the order in which they were added. */
void kv_log_lines_write(const struct kv_log_lines *lines);

void kv_log_lines_fini(struct kv_log_lines *lines);

#endif
