/*
 * What writes the lines of the log to standard error (log.h): whoever logs, or, while it is
 * started, a thread, so that a reader of the log that is slow, or stands still, holds up nobody.
 *
 * Bounded: lines that wait have KV_LOG_LARGEST_QUEUE bytes at most; further ones are dropped,
 * counted, and told of by a line when there is room again.
 *
 * Threads: any; one starts and stops it.
 */
#ifndef KV_BASE_LOG_WRITER_H
#define KV_BASE_LOG_WRITER_H

#include <kvserver/types.h>

enum {
    KV_LOG_LARGEST_QUEUE = 1 << 20
};

/* line: with its newline; lent. most: bytes that may wait, with the line. Returns: whether there
 * was room for it. */
bool kv_log_writer_put(struct kv_slice line, size_t most);

/* How many lines have been dropped that nobody has been told of; these count as told now. */
uint64_t kv_log_writer_take_dropped(void);

/* From now on lines are written by a thread of their own: nobody who logs waits for standard error.
 * Before that, and after kv_log_stop(), who logs writes. Where the thread cannot be had, it stays
 * so. */
void kv_log_start(void);

/* Writes what waits, for two seconds at most. Called before the process ends. */
void kv_log_stop(void);

/* The lines that were dropped since standard error took too little. Threads: any. */
uint64_t kv_log_n_dropped(void);

#endif
