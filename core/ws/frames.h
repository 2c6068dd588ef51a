/*
 * Frames of the server (RFC 6455, section 5.2). They are not masked, so one frame serves all
 * receivers of a message.
 */
#ifndef KV_WS_FRAMES_H
#define KV_WS_FRAMES_H

#include "keyspace/keyspace.h"
#include "net/outbound.h"
#include "wire/frame.h"

/* Appends a text message, copied. */
void kv_frames_text(struct kv_outbound *out, struct kv_slice text);

/* Appends a text message that has been compressed, copied. */
void kv_frames_deflated(struct kv_outbound *out, struct kv_slice compressed);

/* Appends a text message of three parts, copied. */
void kv_frames_parts(struct kv_outbound *out, struct kv_slice head, struct kv_slice value,
                     struct kv_slice tail);

/* Appends a ping or a pong, copied. payload: at most KV_FRAME_LONGEST_CONTROL bytes. */
void kv_frames_control(struct kv_outbound *out, enum kv_frame_opcode opcode,
                       struct kv_slice payload);

/* Appends a close frame. code: KV_CLOSE_NONE for none; reason: UTF-8, short enough for a control
 * frame. */
void kv_frames_close(struct kv_outbound *out, uint16_t code, struct kv_slice reason);

/* A text message of head, the item's value and tail, for any number of connections, by
 * kv_outbound_append_piece(). tally: of their loop. Takes a reference to the item. Owns: the
 * caller, by kv_piece_unref(). */
struct kv_piece *kv_frames_shared(struct kv_tally *tally, struct kv_keyspace *keyspace,
                                  struct kv_slice head, const struct kv_item *item,
                                  struct kv_slice tail);

/* The same, with a copy of the value. */
struct kv_piece *kv_frames_copied(struct kv_tally *tally, struct kv_slice head,
                                  struct kv_slice value, struct kv_slice tail);

/* A text message that has been compressed. Takes the bytes over; copies them if they are short, or
 * have no release function. */
struct kv_piece *kv_frames_shared_deflated(struct kv_tally *tally, struct kv_held compressed);

/* The length of the text in a piece that is a text message. */
size_t kv_frames_text_len(const struct kv_piece *piece);

/* The text in a piece that is a text message: its parts without the frame's header.
 * Returns: their number. */
size_t kv_frames_text_of(const struct kv_piece *piece, struct kv_slice ret_parts[KV_PIECE_PARTS],
                         size_t *ret_len);

#endif
