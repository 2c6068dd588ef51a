/*
 * A queue of nodes: a chunk of copied frames, or a reference to a shared frame. Nodes in flight
 * are left alone until the write is done; a chunk is filled while it is last and not in flight.
 */
#include "ws/outbound.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
    LARGEST_COPY = 1024, /* up to here a copy is cheaper than a reference and an iovec */
    FIRST_CHUNK = 512,
    LARGEST_CHUNK = 16384,
    LONGEST_WRITE = 4 << 20,
};

struct kv_shared_frame {
    uint32_t refs;
    struct kv_keyspace *keyspace;
    struct kv_item item; /* between head and tail; empty where it was copied into the head */
    size_t head_len;
    size_t tail_len;
    char bytes[]; /* head, tail */
};

struct kv_outbound_node {
    struct kv_link link;
    struct kv_shared_frame *frame; /* NULL: a chunk */
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

struct kv_shared_frame *kv_shared_frame_create(struct kv_keyspace *keyspace, struct kv_slice head,
                                               const struct kv_item *item, struct kv_slice tail)
{
    bool is_copied = item->value.len <= LARGEST_COPY;
    size_t copied = is_copied ? item->value.len : 0;
    size_t len = head.len + item->value.len + tail.len;
    struct kv_shared_frame *frame =
        kv_alloc(sizeof(*frame) + KV_FRAME_LONGEST_HEADER + head.len + copied + tail.len);
    char *at = kv_frame_write_header(frame->bytes, KV_FRAME_TEXT, len);
    at = append(at, head);
    if (is_copied)
        at = append(at, item->value);
    frame->refs = 1;
    frame->keyspace = keyspace;
    frame->item = (struct kv_item){0};
    if (!is_copied)
        frame->item = kv_keyspace_share(keyspace, item);
    frame->head_len = (size_t)(at - frame->bytes);
    frame->tail_len = tail.len;
    append(at, tail);
    return frame;
}

void kv_shared_frame_unref(struct kv_shared_frame *frame)
{
    if (--frame->refs != 0)
        return;
    kv_keyspace_release(frame->keyspace, &frame->item);
    free(frame);
}

static size_t frame_len(const struct kv_shared_frame *frame)
{
    return frame->head_len + frame->item.value.len + frame->tail_len;
}

void kv_outbound_init(struct kv_outbound *out)
{
    *out = (struct kv_outbound){0};
    kv_queue_init(&out->nodes);
}

static void free_node(struct kv_outbound_node *node)
{
    if (node->frame != NULL)
        kv_shared_frame_unref(node->frame);
    free(node);
}

static size_t node_len(const struct kv_outbound_node *node)
{
    return node->frame != NULL ? frame_len(node->frame) : node->len;
}

/* What it counts for in `bytes`: the memory that it holds. */
static size_t node_cost(const struct kv_outbound_node *node)
{
    return sizeof(*node) + node->capacity + (node->frame != NULL ? frame_len(node->frame) : 0);
}

void kv_outbound_fini(struct kv_outbound *out)
{
    struct kv_link *link;
    while ((link = kv_queue_pop(&out->nodes)) != NULL)
        free_node(KV_CONTAINER(link, struct kv_outbound_node, link));
    kv_outbound_init(out);
}

static struct kv_outbound_node *add_node(struct kv_outbound *out, size_t capacity,
                                         struct kv_shared_frame *frame)
{
    struct kv_outbound_node *node = kv_alloc(sizeof(*node) + capacity);
    node->frame = frame;
    node->len = 0;
    node->capacity = capacity;
    kv_queue_push(&out->nodes, &node->link);
    out->last = node;
    out->bytes += node_cost(node);
    return node;
}

/* The first chunk has room for what was copied for the write before, so that a connection whose
 * writes are alike needs one for each; others double while one follows another. */
static size_t next_capacity(const struct kv_outbound *out, size_t len)
{
    const struct kv_outbound_node *last = out->last;
    size_t capacity = out->usual_copied < FIRST_CHUNK ? FIRST_CHUNK : out->usual_copied;
    if (last != NULL && last->frame == NULL)
        capacity = last->capacity * 2;
    if (capacity > LARGEST_CHUNK)
        capacity = LARGEST_CHUNK;
    return capacity < len ? len : capacity;
}

/* Room for `len` bytes at the end of a chunk. */
static char *reserve(struct kv_outbound *out, size_t len)
{
    struct kv_outbound_node *chunk = out->last;
    if (chunk == NULL || chunk->frame != NULL || chunk->capacity - chunk->len < len)
        chunk = add_node(out, next_capacity(out, len), NULL);
    char *room = chunk->bytes + chunk->len;
    chunk->len += len;
    return room;
}

/* Room for a payload, behind its header. */
static char *reserve_frame(struct kv_outbound *out, enum kv_frame_opcode opcode, size_t len)
{
    char *at = reserve(out, kv_frame_header_len(len) + len);
    return kv_frame_write_header(at, opcode, len);
}

void kv_outbound_append_text(struct kv_outbound *out, struct kv_slice text)
{
    append(reserve_frame(out, KV_FRAME_TEXT, text.len), text);
}

void kv_outbound_append_item(struct kv_outbound *out, struct kv_keyspace *keyspace,
                             struct kv_slice head, const struct kv_item *item, struct kv_slice tail)
{
    if (item->value.len > LARGEST_COPY) {
        struct kv_shared_frame *frame = kv_shared_frame_create(keyspace, head, item, tail);
        kv_outbound_append_shared(out, frame);
        kv_shared_frame_unref(frame);
        return;
    }
    size_t len = head.len + item->value.len + tail.len;
    char *at = reserve_frame(out, KV_FRAME_TEXT, len);
    append(append(append(at, head), item->value), tail);
}

void kv_outbound_append_control(struct kv_outbound *out, enum kv_frame_opcode opcode,
                                struct kv_slice payload)
{
    assert(payload.len <= KV_FRAME_LONGEST_CONTROL);
    append(reserve_frame(out, opcode, payload.len), payload);
}

void kv_outbound_append_close(struct kv_outbound *out, uint16_t code, struct kv_slice reason)
{
    const char bytes[] = {(char)(code >> 8), (char)code};
    bool has_code = code != KV_CLOSE_NONE;
    size_t len = has_code ? sizeof(bytes) + reason.len : 0;
    assert(len <= KV_FRAME_LONGEST_CONTROL);
    char *at = reserve_frame(out, KV_FRAME_CLOSE, len);
    if (has_code)
        append(append(at, (struct kv_slice){bytes, sizeof(bytes)}), reason);
}

void kv_outbound_append_shared(struct kv_outbound *out, struct kv_shared_frame *frame)
{
    if (frame->item.value.len == 0 && frame_len(frame) <= LARGEST_COPY) {
        append(reserve(out, frame_len(frame)), (struct kv_slice){frame->bytes, frame_len(frame)});
        return;
    }
    frame->refs++;
    add_node(out, 0, frame);
}

static size_t describe_frame(const struct kv_shared_frame *frame, struct iovec *iovecs)
{
    char *bytes = (char *)(uintptr_t)frame->bytes;
    if (frame->item.value.len == 0) {
        iovecs[0] = (struct iovec){bytes, frame->head_len + frame->tail_len};
        return 1;
    }
    iovecs[0] = (struct iovec){bytes, frame->head_len};
    iovecs[1] = (struct iovec){(char *)(uintptr_t)frame->item.value.bytes, frame->item.value.len};
    iovecs[2] = (struct iovec){bytes + frame->head_len, frame->tail_len};
    return 3;
}

static size_t describe(struct kv_outbound_node *node, struct iovec *iovecs)
{
    if (node->frame != NULL)
        return describe_frame(node->frame, iovecs);
    iovecs[0] = (struct iovec){node->bytes, node->len};
    return 1;
}

size_t kv_outbound_next(struct kv_outbound *out, struct iovec iovecs[KV_OUTBOUND_IOVECS])
{
    size_t n = 0;
    size_t bytes = 0;
    size_t copied = 0;
    if (out->in_flight != 0)
        return 0;
    for (struct kv_link *link = out->nodes.head;
         link != NULL && n + 3 <= KV_OUTBOUND_IOVECS && bytes < LONGEST_WRITE; link = link->next) {
        struct kv_outbound_node *node = KV_CONTAINER(link, struct kv_outbound_node, link);
        n += describe(node, iovecs + n);
        bytes += node_len(node);
        copied += node->len;
        out->in_flight++;
        if (node == out->last)
            out->last = NULL; /* not to be filled any more */
    }
    out->usual_copied = copied;
    return n;
}

void kv_outbound_written(struct kv_outbound *out)
{
    for (; out->in_flight > 0; out->in_flight--) {
        struct kv_outbound_node *node =
            KV_CONTAINER(kv_queue_pop(&out->nodes), struct kv_outbound_node, link);
        out->bytes -= node_cost(node);
        free_node(node);
    }
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
        out->bytes -= node_cost(node);
        free_node(node);
    }
    while ((link = kv_queue_pop(&kept)) != NULL)
        kv_queue_push(&out->nodes, link);
    out->last = NULL;
}
