/*
 * Compresses the messages of one loop (permessage-deflate). A text that many connections send is
 * compressed once. A worker compresses long texts; meanwhile the connections hold back the text and
 * everything queued behind it.
 *
 * Threads: all of it belongs to the loop.
 */
#ifndef KV_WS_COMPRESSION_H
#define KV_WS_COMPRESSION_H

#include "base/metrics.h"
#include "loop/workers.h"
#include "net/outbound.h"
#include "wire/deflate.h"

struct kv_compression {
    struct kv_workers *workers;
    struct kv_loop *loop;
    struct kv_tally *tally;
    struct kv_deflater *deflater; /* NULL: not needed yet */
    struct kv_buffer text;        /* the compressed text */
    struct kv_list jobs;          /* jobs that workers have */
    uint32_t n_jobs;
    void (*on_settled)(struct kv_compression *compression); /* called when a piece can be sent */
    struct kv_counter n_plain;                              /* bytes before compression */
    struct kv_counter n_deflated;                           /* bytes after compression */
};

/* workers, loop, tally: lent. on_settled: connections that were held up should write. */
void kv_compression_init(struct kv_compression *compression, struct kv_workers *workers,
                         struct kv_loop *loop, struct kv_tally *tally,
                         void (*on_settled)(struct kv_compression *compression));
/* Call when neither the loop nor workers run any more. */
void kv_compression_fini(struct kv_compression *compression);

enum {
    KV_COMPRESSION_LONGEST = 32 << 10 /* longest text that the loop compresses itself */
};

/* Compresses a text of n parts, of at most KV_COMPRESSION_LONGEST bytes. Returns: whether that made
 * it shorter; *ret: the compressed text, valid until the next compression. */
bool kv_compression_run(struct kv_compression *compression, enum kv_deflate_form form,
                        const struct kv_slice *parts, size_t n, struct kv_slice *ret);

/* The form in which to send a piece, a frame with a text. Returns: lent; the piece itself if
 * compression is not worthwhile. */
struct kv_piece *kv_compression_of(struct kv_compression *compression, struct kv_piece *piece,
                                   enum kv_deflate_form form);

/* Releases the buffer kept for the next text, if it is large. */
void kv_compression_trim(struct kv_compression *compression);

#endif
