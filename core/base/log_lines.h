/*
 * Lines of the log that are held back until they are true (log.h).
 */
#ifndef KV_BASE_LOG_LINES_H
#define KV_BASE_LOG_LINES_H

#include "base/buffer.h"

/* All zero: no lines. Owns: the text, until kv_log_lines_fini(). */
struct kv_log_lines {
    struct kv_buffer text; /* of each line: its level, its subject and its message */
};

/* The parameters are those of kv_log(); they are copied. */
void kv_log_lines_add(struct kv_log_lines *lines, enum kv_log_level level, const char *subject,
                      const char *format, ...) KV_PRINTF(4, 5);

/* Logs the lines, in the order in which they were added. */
void kv_log_lines_write(const struct kv_log_lines *lines);

void kv_log_lines_fini(struct kv_log_lines *lines);

#endif
