/*
 * The lines of a file or a pipe, of any length up to a limit, until another thread says stop.
 */
#ifndef KV_DAEMON_LINE_READER_H
#define KV_DAEMON_LINE_READER_H

#include "base/buffer.h"

struct kv_line_reader {
    int fd;           /* lent */
    int stop_fd;      /* lent: readable once reading has to stop (an eventfd) */
    size_t max_bytes; /* of a line */
    uint64_t number;  /* of the line that was read last, or that could not be read: 1, 2, … */
    struct kv_buffer buffer;
    size_t at;      /* where the next line begins */
    size_t n_known; /* bytes behind `at` that have no line feed */
    bool is_at_end;
};

enum kv_line_status {
    KV_LINE_READ,
    KV_LINE_END,
    KV_LINE_STOPPED,
    KV_LINE_FAILED, /* *reterr says why */
};

/* The next line, without its line feed; that of the last line may be missing. Waits for input, and
 * may be told to stop only there: lines that have arrived are still read. The slice lives until the
 * next call. */
enum kv_line_status kv_line_reader_next(struct kv_line_reader *reader, struct kv_slice *ret_line,
                                        struct kv_error *reterr);

/* Frees the buffer. */
void kv_line_reader_fini(struct kv_line_reader *reader);

#endif
