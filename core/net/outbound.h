/*
 * What a connection has still to send, in order. Small texts are copied together into chunks; a
 * text that many connections send (a change), and a value that is long, stay where they are under a
 * reference. One thread's.
 */
#ifndef KV_NET_OUTBOUND_H
#define KV_NET_OUTBOUND_H

#include "base/budget.h"
#include "base/held.h"
#include "base/list.h"
#include "net/channel.h"

/* A text for any number of connections of one loop. */
struct kv_piece;

enum {
    KV_PIECE_PARTS = 3,
    KV_PIECE_FORMS = 2
};

/* lead + head + body + tail, copied. tally: of the loop; it counts a piece once, however many
 * connections send it. Owns: the caller, one reference. */
struct kv_piece *kv_piece_create(struct kv_tally *tally, struct kv_slice lead, struct kv_slice head,
                                 struct kv_slice body, struct kv_slice tail);
/* The same, but the body stays where it is. Takes it over. */
struct kv_piece *kv_piece_create_held(struct kv_tally *tally, struct kv_slice lead,
                                      struct kv_slice head, struct kv_held body,
                                      struct kv_slice tail);
struct kv_piece *kv_piece_ref(struct kv_piece *piece);
/* Accepts NULL. */
void kv_piece_unref(struct kv_piece *piece);

/* What the piece consists of, without gaps. Constant. Returns: how many. */
size_t kv_piece_parts(const struct kv_piece *piece, struct kv_slice ret_parts[KV_PIECE_PARTS]);

/* Makes a placeholder for `original`, while another form of it is being made elsewhere: the
 * placeholder, and everything queued behind it, is not sent before kv_piece_settle(). It counts as
 * many bytes as the original, and holds a reference to it. Owns: the caller, one reference. */
struct kv_piece *kv_piece_defer(struct kv_piece *original);

/* Lets a placeholder be sent, as another piece. other: taken over; NULL: the original. The caller
 * must then have the connections write that send it. */
void kv_piece_settle(struct kv_piece *piece, struct kv_piece *other);

/* A cached form in which the piece may be sent, kept as long as the piece. The layer above defines
 * the numbers. Returns: NULL if there is none; lent. */
struct kv_piece *kv_piece_form(const struct kv_piece *piece, unsigned number);
/* form: taken over; the piece itself (and no reference): there is none that is better; NULL: not
 * known yet, and the reference to the one before is given back. */
void kv_piece_set_form(struct kv_piece *piece, unsigned number, struct kv_piece *form);

enum {
    KV_CHUNK_SIZES = 6
};

/* What the queues of a loop share, which it outlives: chunks for reuse, and the tally of their
 * memory. All zero is empty, and counts nothing. */
struct kv_chunks {
    struct kv_link *free[KV_CHUNK_SIZES]; /* those used last first, as they are warm in the cache */
    size_t bytes;                         /* of them */
    struct kv_tally *tally;
};

void kv_chunks_fini(struct kv_chunks *chunks);

struct kv_outbound {
    struct kv_chunks *chunks;
    struct kv_queue nodes;
    struct kv_outbound_node *last;
    size_t bytes; /* of memory for what the kernel has not taken, as far as known; shared pieces
                     count in full */
    size_t usual_copied; /* bytes of the chunks in a write: of the one before */
    size_t in_flight;    /* nodes at the front that are being written */
    bool is_held_up;     /* what is next was not ready to be sent at the last write */
};

enum {
    KV_OUTBOUND_LARGEST_COPY = 1024 /* up to here a copy is cheaper than a reference and an iovec */
};

void kv_outbound_init(struct kv_outbound *out, struct kv_chunks *chunks);
void kv_outbound_fini(struct kv_outbound *out);

/* Appends bytes, copied. */
void kv_outbound_append(struct kv_outbound *out, struct kv_slice bytes);

/* Appends `len` bytes that the caller writes to where the result points, at once. */
char *kv_outbound_reserve(struct kv_outbound *out, size_t len);

/* Appends a piece; takes a reference of its own where it does not copy. */
void kv_outbound_append_piece(struct kv_outbound *out, struct kv_piece *piece);

/* Writes what there is and may be sent, unless a write is in flight. What the channel does not take
 * at once is in flight until it calls `on_written`, which has to call kv_outbound_written().
 * Returns: whether nothing is in flight. */
bool kv_outbound_write(struct kv_outbound *out, struct kv_channel *channel);
void kv_outbound_written(struct kv_outbound *out);

/* Whether something has to happen before it can write. */
static inline bool kv_outbound_waits(const struct kv_outbound *out)
{
    return out->in_flight != 0 || out->is_held_up;
}

/* Throws away what is not in flight. */
void kv_outbound_drop(struct kv_outbound *out);

#endif
