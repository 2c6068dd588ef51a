/*
 * A queue of nodes: chunks of copied bytes, or references to shared pieces. Nodes in flight are not
 * changed until the write is done; a chunk is filled while it is the last node and not in flight. A
 * write ends before a piece that is deferred and not settled.
 */
#include "net/outbound.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
    FIRST_CHUNK = 512, /* each size of a chunk is twice the previous one */
    LARGEST_CHUNK = FIRST_CHUNK << (KV_CHUNK_SIZES - 1),
    LONGEST_WRITE = 4 << 20,
    MOST_IOVECS = 512,
    MOST_FREE_BYTES = 256 << 10 /* of chunks: similar connections need one each in a turn */
};

struct kv_piece {
    uint32_t refs;
    struct kv_tally *tally;
    size_t cost;               /* bytes that it counts for in each queue */
    struct kv_held held;       /* between head and tail; empty if it was copied into the head */
    struct kv_piece *original; /* NULL: it is not a placeholder */
    struct kv_piece *settled;  /* the piece to send instead */
    struct kv_piece *forms[KV_PIECE_FORMS]; /* the piece itself: no other form is better */
    size_t head_len;
    size_t tail_len;
    char bytes[]; /* head, tail */
};

struct kv_outbound_node {
    struct kv_link link;
    struct kv_piece *piece; /* NULL: a chunk */
    size_t len;
    size_t capacity;
    char bytes[];
};

static char *append(char *at, struct kv_slice bytes)
{
    if (bytes.len != 0)
        memcpy(at, bytes.bytes, bytes.len);
    return at + bytes.len;
}

static size_t copied_len(const struct kv_piece *piece)
{
    return sizeof(*piece) + piece->head_len + piece->tail_len;
}

struct kv_piece *kv_piece_create(struct kv_tally *tally, struct kv_slice lead, struct kv_slice head,
                                 struct kv_slice body, struct kv_slice tail)
{
    struct kv_piece *piece = kv_alloc(sizeof(*piece) + lead.len + head.len + body.len + tail.len);
    *piece = (struct kv_piece){.refs = 1,
                               .tally = tally,
                               .cost = lead.len + head.len + body.len + tail.len,
                               .head_len = lead.len + head.len + body.len,
                               .tail_len = tail.len};
    append(append(append(append(piece->bytes, lead), head), body), tail);
    kv_tally_add(tally, (int64_t)copied_len(piece));
    return piece;
}

struct kv_piece *kv_piece_create_held(struct kv_tally *tally, struct kv_slice lead,
                                      struct kv_slice head, struct kv_held body,
                                      struct kv_slice tail)
{
    struct kv_piece *piece = kv_piece_create(tally, lead, head, (struct kv_slice){0}, tail);
    piece->held = body;
    piece->cost += body.bytes.len;
    kv_tally_pin(tally, body.ref, body.bytes.len);
    return piece;
}

struct kv_piece *kv_piece_ref(struct kv_piece *piece)
{
    piece->refs++;
    return piece;
}

void kv_piece_unref(struct kv_piece *piece)
{
    if (piece == NULL || --piece->refs != 0)
        return;
    for (unsigned i = 0; i < KV_PIECE_FORMS; i++)
        kv_piece_set_form(piece, i, NULL);
    kv_piece_unref(piece->original);
    kv_piece_unref(piece->settled);
    if (piece->held.bytes.len != 0)
        kv_tally_unpin(piece->tally, piece->held.ref, piece->held.bytes.len);
    kv_tally_add(piece->tally, -(int64_t)copied_len(piece));
    kv_held_release(&piece->held);
    free(piece);
}

static size_t piece_len(const struct kv_piece *piece)
{
    return piece->head_len + piece->held.bytes.len + piece->tail_len;
}

size_t kv_piece_parts(const struct kv_piece *piece, struct kv_slice ret_parts[KV_PIECE_PARTS])
{
    size_t n = 0;
    ret_parts[n++] = (struct kv_slice){piece->bytes, piece->head_len};
    if (piece->held.bytes.len != 0)
        ret_parts[n++] = piece->held.bytes;
    if (piece->tail_len != 0)
        ret_parts[n++] = (struct kv_slice){piece->bytes + piece->head_len, piece->tail_len};
    return n;
}

struct kv_piece *kv_piece_defer(struct kv_piece *original)
{
    struct kv_slice none = {0};
    struct kv_piece *piece = kv_piece_create(original->tally, none, none, none, none);
    piece->original = kv_piece_ref(original);
    piece->cost = original->cost;
    return piece;
}

void kv_piece_settle(struct kv_piece *piece, struct kv_piece *other)
{
    struct kv_piece *original = piece->original;
    assert(original != NULL && piece->settled == NULL);
    piece->original = NULL;
    piece->settled = other == NULL ? original : other;
    if (other != NULL)
        kv_piece_unref(original);
}

struct kv_piece *kv_piece_form(const struct kv_piece *piece, unsigned number)
{
    return piece->forms[number];
}

void kv_piece_set_form(struct kv_piece *piece, unsigned number, struct kv_piece *form)
{
    struct kv_piece *before = piece->forms[number];
    piece->forms[number] = form;
    if (before != piece)
        kv_piece_unref(before);
}

static struct kv_outbound_node *pop_free(struct kv_chunks *chunks, unsigned size)
{
    struct kv_outbound_node *chunk =
        KV_CONTAINER(chunks->free[size], struct kv_outbound_node, link);
    chunks->free[size] = chunk->link.next;
    chunks->bytes -= chunk->capacity;
    return chunk;
}

void kv_chunks_fini(struct kv_chunks *chunks)
{
    for (unsigned size = 0; size < KV_CHUNK_SIZES; size++)
        while (chunks->free[size] != NULL)
            free(pop_free(chunks, size));
}

/* Returns: the smallest size of a chunk with room for `len`; KV_CHUNK_SIZES: none has. */
static unsigned size_for(size_t len)
{
    unsigned size = 0;
    while (size < KV_CHUNK_SIZES && (size_t)FIRST_CHUNK << size < len)
        size++;
    return size;
}

static struct kv_outbound_node *take_memory(struct kv_chunks *chunks, size_t capacity)
{
    unsigned size = size_for(capacity);
    if (capacity == 0 || size == KV_CHUNK_SIZES || chunks->free[size] == NULL)
        return kv_alloc(sizeof(struct kv_outbound_node) + capacity);
    return pop_free(chunks, size);
}

static void give_memory_back(struct kv_chunks *chunks, struct kv_outbound_node *node)
{
    unsigned size = size_for(node->capacity);
    if (node->capacity == 0 || size == KV_CHUNK_SIZES ||
        chunks->bytes + node->capacity > MOST_FREE_BYTES) {
        free(node);
        return;
    }
    node->link.next = chunks->free[size];
    chunks->free[size] = &node->link;
    chunks->bytes += node->capacity;
}

void kv_outbound_init(struct kv_outbound *out, struct kv_chunks *chunks)
{
    *out = (struct kv_outbound){.chunks = chunks};
    kv_queue_init(&out->nodes);
}

/* The piece to send for a ready piece. */
static const struct kv_piece *sent_of(const struct kv_piece *piece)
{
    return piece->settled != NULL ? piece->settled : piece;
}

static size_t node_len(const struct kv_outbound_node *node)
{
    return node->piece != NULL ? piece_len(sent_of(node->piece)) : node->len;
}

/* The memory of the node itself. */
static size_t node_size(const struct kv_outbound_node *node)
{
    return sizeof(*node) + node->capacity;
}

/* Its share of `bytes`: the memory that it keeps in use. */
static size_t node_cost(const struct kv_outbound_node *node)
{
    return node_size(node) + (node->piece != NULL ? node->piece->cost : 0);
}

static void free_node(struct kv_outbound *out, struct kv_outbound_node *node)
{
    out->bytes -= node_cost(node);
    kv_tally_add(out->chunks->tally, -(int64_t)node_size(node));
    if (node->piece != NULL)
        kv_piece_unref(node->piece);
    give_memory_back(out->chunks, node);
}

void kv_outbound_fini(struct kv_outbound *out)
{
    struct kv_link *link;
    while ((link = kv_queue_pop(&out->nodes)) != NULL)
        free_node(out, KV_CONTAINER(link, struct kv_outbound_node, link));
    kv_outbound_init(out, out->chunks);
}

static struct kv_outbound_node *add_node(struct kv_outbound *out, size_t capacity,
                                         struct kv_piece *piece)
{
    struct kv_outbound_node *node = take_memory(out->chunks, capacity);
    node->piece = piece;
    node->len = 0;
    node->capacity = capacity;
    kv_queue_push(&out->nodes, &node->link);
    out->last = node;
    out->bytes += node_cost(node);
    kv_tally_add(out->chunks->tally, (int64_t)node_size(node));
    return node;
}

/* The first chunk has room for the copied bytes of the previous write, so that a connection with
 * similar writes needs one for each; chunks that follow another one double in size. */
static size_t next_capacity(const struct kv_outbound *out, size_t len)
{
    const struct kv_outbound_node *last = out->last;
    size_t capacity = out->usual_copied < FIRST_CHUNK ? FIRST_CHUNK : out->usual_copied;
    if (last != NULL && last->piece == NULL)
        capacity = last->capacity * 2;
    unsigned size = size_for(capacity < len ? len : capacity);
    if (size < KV_CHUNK_SIZES)
        return (size_t)FIRST_CHUNK << size;
    return LARGEST_CHUNK < len ? len : LARGEST_CHUNK;
}

char *kv_outbound_reserve(struct kv_outbound *out, size_t len)
{
    struct kv_outbound_node *chunk = out->last;
    if (chunk == NULL || chunk->piece != NULL || chunk->capacity - chunk->len < len)
        chunk = add_node(out, next_capacity(out, len), NULL);
    char *room = chunk->bytes + chunk->len;
    chunk->len += len;
    return room;
}

void kv_outbound_append(struct kv_outbound *out, struct kv_slice bytes)
{
    append(kv_outbound_reserve(out, bytes.len), bytes);
}

void kv_outbound_append_piece(struct kv_outbound *out, struct kv_piece *piece)
{
    if (piece->settled != NULL)
        piece = piece->settled;
    if (piece->original == NULL && piece->held.bytes.len == 0 &&
        piece_len(piece) <= KV_OUTBOUND_LARGEST_COPY) {
        kv_outbound_append(out, (struct kv_slice){piece->bytes, piece_len(piece)});
        return;
    }
    add_node(out, 0, kv_piece_ref(piece));
}

static size_t describe_piece(const struct kv_piece *piece, struct iovec *iovecs)
{
    char *bytes = (char *)(uintptr_t)piece->bytes;
    if (piece->held.bytes.len == 0) {
        iovecs[0] = (struct iovec){bytes, piece->head_len + piece->tail_len};
        return 1;
    }
    iovecs[0] = (struct iovec){bytes, piece->head_len};
    iovecs[1] = (struct iovec){(char *)(uintptr_t)piece->held.bytes.bytes, piece->held.bytes.len};
    iovecs[2] = (struct iovec){bytes + piece->head_len, piece->tail_len};
    return piece->tail_len != 0 ? 3 : 2;
}

static size_t describe(struct kv_outbound_node *node, struct iovec *iovecs)
{
    if (node->piece != NULL)
        return describe_piece(sent_of(node->piece), iovecs);
    iovecs[0] = (struct iovec){node->bytes, node->len};
    return 1;
}

/* The next pieces to write: they are in flight until kv_outbound_written(). */
static size_t next_pieces(struct kv_outbound *out, struct iovec iovecs[MOST_IOVECS])
{
    size_t n = 0;
    size_t bytes = 0;
    size_t copied = 0;
    out->is_held_up = false;
    for (struct kv_link *link = out->nodes.head;
         link != NULL && n + 3 <= MOST_IOVECS && bytes < LONGEST_WRITE; link = link->next) {
        struct kv_outbound_node *node = KV_CONTAINER(link, struct kv_outbound_node, link);
        if (node->piece != NULL && node->piece->original != NULL) {
            out->is_held_up = n == 0;
            break;
        }
        n += describe(node, iovecs + n);
        bytes += node_len(node);
        copied += node->len;
        out->in_flight++;
        if (node == out->last)
            out->last = NULL; /* it must not be filled any more */
    }
    out->usual_copied = copied;
    return n;
}

void kv_outbound_written(struct kv_outbound *out)
{
    for (; out->in_flight > 0; out->in_flight--) {
        struct kv_outbound_node *node =
            KV_CONTAINER(kv_queue_pop(&out->nodes), struct kv_outbound_node, link);
        free_node(out, node);
    }
}

bool kv_outbound_write(struct kv_outbound *out, struct kv_channel *channel)
{
    while (out->bytes != 0 && out->in_flight == 0) {
        struct iovec iovecs[MOST_IOVECS];
        size_t n = next_pieces(out, iovecs);
        if (n == 0)
            break;
        if (kv_channel_write(channel, iovecs, n))
            kv_outbound_written(out);
    }
    return out->in_flight == 0;
}

void kv_outbound_drop(struct kv_outbound *out)
{
    struct kv_queue kept;
    kv_queue_init(&kept);
    for (size_t i = 0; i < out->in_flight; i++)
        kv_queue_push(&kept, kv_queue_pop(&out->nodes));
    struct kv_link *link;
    while ((link = kv_queue_pop(&out->nodes)) != NULL) {
        struct kv_outbound_node *node = KV_CONTAINER(link, struct kv_outbound_node, link);
        free_node(out, node);
    }
    while ((link = kv_queue_pop(&kept)) != NULL)
        kv_queue_push(&out->nodes, link);
    out->last = NULL;
    out->is_held_up = false;
}
