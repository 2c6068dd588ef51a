/*
 * What a connection has still to send, as frames in order. Small frames are copied together into
 * chunks; a frame that many connections send (a change), and a value that is long, stay where they
 * are under a reference. One thread's.
 */
#ifndef KV_WS_OUTBOUND_H
#define KV_WS_OUTBOUND_H

#include <sys/uio.h>

#include "base/list.h"
#include "keyspace/keyspace.h"
#include "wire/frame.h"

/* A text message in its frame, for any number of connections of one loop. */
struct kv_shared_frame;

/* head + the item's value + tail. Takes a share of the item. Owns: the caller, one reference. */
struct kv_shared_frame *kv_shared_frame_create(struct kv_keyspace *keyspace, struct kv_slice head,
                                               const struct kv_item *item, struct kv_slice tail);
void kv_shared_frame_unref(struct kv_shared_frame *frame);

struct kv_outbound {
    struct kv_queue nodes;
    struct kv_outbound_node *last;
    size_t bytes; /* of memory for what the kernel has not taken, as far as known; shared frames
                     count in full */
    size_t usual_copied; /* bytes of the chunks in a write: of the one before */
    size_t in_flight;    /* nodes at the front that are being written */
};

enum {
    KV_OUTBOUND_IOVECS = 512
};

void kv_outbound_init(struct kv_outbound *out);
void kv_outbound_fini(struct kv_outbound *out);

/* Appends a text message, copied. */
void kv_outbound_append_text(struct kv_outbound *out, struct kv_slice text);

/* Appends a text message: head + the item's value + tail. Copies it, or where the value is long
 * takes a share of the item. */
void kv_outbound_append_item(struct kv_outbound *out, struct kv_keyspace *keyspace,
                             struct kv_slice head, const struct kv_item *item,
                             struct kv_slice tail);

/* Appends a ping or a pong, copied. payload: at most KV_FRAME_LONGEST_CONTROL bytes. */
void kv_outbound_append_control(struct kv_outbound *out, enum kv_frame_opcode opcode,
                                struct kv_slice payload);

/* Appends a close frame. code: KV_CLOSE_NONE for one without; reason: UTF-8, short enough. */
void kv_outbound_append_close(struct kv_outbound *out, uint16_t code, struct kv_slice reason);

/* Appends a shared frame; takes a reference of its own where it does not copy. */
void kv_outbound_append_shared(struct kv_outbound *out, struct kv_shared_frame *frame);

/* What to write next, for one write at a time: it is in flight until kv_outbound_written().
 * Returns: the number of iovecs, 0 where there is nothing, or a write is under way. */
size_t kv_outbound_next(struct kv_outbound *out, struct iovec iovecs[KV_OUTBOUND_IOVECS]);
void kv_outbound_written(struct kv_outbound *out);

/* Throws away what is not in flight. */
void kv_outbound_drop(struct kv_outbound *out);

#endif
