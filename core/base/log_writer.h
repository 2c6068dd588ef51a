/*
 * Writes the lines of the log to standard error (log.h). Between kv_log_start() and kv_log_stop() a
 * thread writes them, so a slow or blocked reader of standard error delays nobody; otherwise each
 * caller writes its own.
 *
 * Bounded: the lines that wait take at most KV_LOG_LARGEST_QUEUE bytes; further ones are dropped
 * and counted, and a line reports their number when there is room again.
 *
 * Threads: any; one thread starts and stops it.
 */
#ifndef KV_BASE_LOG_WRITER_H
#define KV_BASE_LOG_WRITER_H

#include <kvserver/types.h>

enum {
    KV_LOG_LARGEST_QUEUE = 1 << 20
};

/* line: with its newline; lent. most: bytes that may wait, including the line. Returns: whether
 * there was room for it. */
bool kv_log_writer_put(struct kv_slice line, size_t most);

/* Returns: how many dropped lines have not been reported yet; they count as reported now. */
uint64_t kv_log_writer_take_dropped(void);

/* From now on a thread writes the lines, and callers do not wait for standard error. If the thread
 * cannot be created, callers continue to write their own lines. */
void kv_log_start(void);

/* Writes the waiting lines, for at most two seconds. Call before the process ends. */
void kv_log_stop(void);

/* The number of lines dropped because standard error was read too slowly. Threads: any. */
uint64_t kv_log_n_dropped(void);

#endif
