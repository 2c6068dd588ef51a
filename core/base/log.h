/*
 * The log: one line an event on standard error, as text or as JSON. Only the edges of the program
 * log (the daemon, the servers, modules through their host); the core returns errors instead.
 */
#ifndef KV_BASE_LOG_H
#define KV_BASE_LOG_H

#include <kvserver/types.h>

enum kv_log_format {
    KV_LOG_TEXT = 0,
    KV_LOG_JSON = 1
};

/* From now on drops lines below `level`. Threads: any. */
void kv_log_configure(enum kv_log_level level, enum kv_log_format format);

/* Writes a line about `subject` (a part of the program: "http", "store/simple"). Threads: any;
 * lines are never mixed. */
void kv_log(enum kv_log_level level, const char *subject, const char *format, ...) KV_PRINTF(3, 4);
void kv_vlog(enum kv_log_level level, const char *subject, const char *format, va_list args);

/* Writes a line that its caller has formatted: `message` for the format text, a single line without
 * control characters; `members` for JSON, each after a comma. The line is written whatever the log
 * level, but dropped if half of the room for waiting lines is used (log_writer.h).
 * Threads: any. */
void kv_log_members(const char *subject, struct kv_slice message, struct kv_slice members);

#endif
