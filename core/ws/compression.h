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
    struct kv_list jobs;          /* given to workers */
    uint32_t n_jobs;
    void (*on_settled)(struct kv_compression *compression); /* a piece can be sent now */
    struct kv_counter n_plain;                              /* bytes that were compressed */
    struct kv_counter n_deflated;                           /* and what became of them */
};

/* workers, loop, tally: lent. on_settled: connections that are held up are to write. */
void kv_compression_init(struct kv_compression *compression, struct kv_workers *workers,
                         struct kv_loop *loop, struct kv_tally *tally,
                         void (*on_settled)(struct kv_compression *compression));
/* When neither the loop nor workers run any more. */
void kv_compression_fini(struct kv_compression *compression);

enum {
    KV_COMPRESSION_LONGEST = 32 << 10 /* of a text that the loop compresses itself */
};

/* Compresses a text of n parts, of at most KV_COMPRESSION_LONGEST bytes. Returns: whether that made
 * it shorter; *ret: the compressed text, valid until the next one is compressed. */
bool kv_compression_run(struct kv_compression *compression, enum kv_deflate_form form,
                        const struct kv_slice *parts, size_t n, struct kv_slice *ret);

/* The piece, a frame with a text, in a form to be sent in its place. Returns: lent; the piece
 * itself where it is better sent as it is. */
struct kv_piece *kv_compression_of(struct kv_compression *compression, struct kv_piece *piece,
                                   enum kv_deflate_form form);

/* Releases what is kept for the next text, where that is long. */
void kv_compression_trim(struct kv_compression *compression);

#endif
