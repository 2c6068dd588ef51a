/*
 * Reads the lines of a file or a pipe, up to a maximum length, until another thread stops it.
 */
#ifndef KV_DAEMON_LINE_READER_H
#define KV_DAEMON_LINE_READER_H

#include "base/buffer.h"

struct kv_line_reader {
    int fd;           /* lent */
    int stop_fd;      /* lent: becomes readable when reading has to stop (an eventfd) */
    size_t max_bytes; /* of a line */
    uint64_t number;  /* of the line read last, or that could not be read: 1, 2, … */
    struct kv_buffer buffer;
    size_t at;      /* the beginning of the next line */
    size_t n_known; /* bytes after `at` without a line feed */
    bool is_at_end;
};

enum kv_line_status {
    KV_LINE_READ,
    KV_LINE_END,
    KV_LINE_STOPPED,
    KV_LINE_REFUSED, /* the line is too long; *reterr gives the reason */
    KV_LINE_FAILED,  /* it cannot be read; *reterr gives the reason */
};

/* The next line, without its line feed; the last line may lack one. Waits for input, and can be
 * stopped only there: lines that have arrived are still read. The slice is valid until the next
 * call. */
enum kv_line_status kv_line_reader_next(struct kv_line_reader *reader, struct kv_slice *ret_line,
                                        struct kv_error *reterr);

/* Frees the buffer. */
void kv_line_reader_fini(struct kv_line_reader *reader);

#endif
