/*
 * The unsent data of a connection, in order. Small texts are copied into chunks; a text that many
 * connections send (a change), and a long value, stay in place and are held by reference. Belongs
 * to one thread.
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
/* The same, but the body stays in place. Takes it over. */
struct kv_piece *kv_piece_create_held(struct kv_tally *tally, struct kv_slice lead,
                                      struct kv_slice head, struct kv_held body,
                                      struct kv_slice tail);
struct kv_piece *kv_piece_ref(struct kv_piece *piece);
/* Accepts NULL. */
void kv_piece_unref(struct kv_piece *piece);

/* The parts of the piece, in order. Constant. Returns: their number. */
size_t kv_piece_parts(const struct kv_piece *piece, struct kv_slice ret_parts[KV_PIECE_PARTS]);

/* Creates a placeholder for `original`, while another form of it is being made elsewhere: the
 * placeholder, and everything queued after it, is not sent before kv_piece_settle(). It counts as
 * many bytes as the original, and holds a reference to it. Owns: the caller, one reference. */
struct kv_piece *kv_piece_defer(struct kv_piece *original);

/* Lets a placeholder be sent, as another piece. other: taken over; NULL: the original. The caller
 * must then have the affected connections write. */
void kv_piece_settle(struct kv_piece *piece, struct kv_piece *other);

/* A cached form in which the piece may be sent, kept as long as the piece. The layer above defines
 * the numbers. Returns: NULL if there is none; lent. */
struct kv_piece *kv_piece_form(const struct kv_piece *piece, unsigned number);
/* form: taken over; the piece itself (without a reference): no other form is better; NULL: not
 * known yet, and the reference to the previous one is released. */
void kv_piece_set_form(struct kv_piece *piece, unsigned number, struct kv_piece *form);

enum {
    KV_CHUNK_SIZES = 6
};

/* Shared by the queues of a loop, which it outlives: chunks for reuse, and the tally of their
 * memory. All zero is empty, and counts nothing. */
struct kv_chunks {
    struct kv_link *free[KV_CHUNK_SIZES]; /* the last used first, as they are warm in the cache */
    size_t bytes;                         /* of the free chunks */
    struct kv_tally *tally;
};

void kv_chunks_fini(struct kv_chunks *chunks);

struct kv_outbound {
    struct kv_chunks *chunks;
    struct kv_queue nodes;
    struct kv_outbound_node *last;
    size_t bytes; /* memory for data that the kernel has not taken, as far as known; shared pieces
                     count in full */
    size_t usual_copied; /* bytes in chunks of the previous write */
    size_t in_flight;    /* nodes at the front that are being written */
    bool is_held_up;     /* the next node was not ready at the last write */
};

enum {
    KV_OUTBOUND_LARGEST_COPY =
        1024 /* up to this, a copy costs less than a reference and an iovec */
};

void kv_outbound_init(struct kv_outbound *out, struct kv_chunks *chunks);
void kv_outbound_fini(struct kv_outbound *out);

/* Appends bytes, copied. */
void kv_outbound_append(struct kv_outbound *out, struct kv_slice bytes);

/* Appends `len` bytes, which the caller must write at once to the returned place. */
char *kv_outbound_reserve(struct kv_outbound *out, size_t len);

/* Appends a piece; takes another reference unless it copies. */
void kv_outbound_append_piece(struct kv_outbound *out, struct kv_piece *piece);

/* Writes everything that may be sent, unless a write is in flight. Data that the channel does not
 * take at once is in flight until it calls `on_written`, which has to call kv_outbound_written().
 * Returns: whether nothing is in flight. */
bool kv_outbound_write(struct kv_outbound *out, struct kv_channel *channel);
void kv_outbound_written(struct kv_outbound *out);

/* Whether a write is in flight, or has to wait for a placeholder. */
static inline bool kv_outbound_waits(const struct kv_outbound *out)
{
    return out->in_flight != 0 || out->is_held_up;
}

/* Drops everything that is not in flight. */
void kv_outbound_drop(struct kv_outbound *out);

#endif
