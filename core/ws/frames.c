#include "ws/frames.h"

#include <assert.h>

static char *append(char *at, struct kv_slice bytes)
{
    if (bytes.len != 0)
        memcpy(at, bytes.bytes, bytes.len);
    return at + bytes.len;
}

/* Room for a payload, behind its header. */
static char *reserve_frame(struct kv_outbound *out, enum kv_frame_opcode opcode, size_t len)
{
    char *at = kv_outbound_reserve(out, kv_frame_header_len(len) + len);
    return kv_frame_write_header(at, opcode, len);
}

void kv_frames_text(struct kv_outbound *out, struct kv_slice text)
{
    append(reserve_frame(out, KV_FRAME_TEXT, text.len), text);
}

void kv_frames_parts(struct kv_outbound *out, struct kv_slice head, struct kv_slice value,
                     struct kv_slice tail)
{
    char *at = reserve_frame(out, KV_FRAME_TEXT, head.len + value.len + tail.len);
    append(append(append(at, head), value), tail);
}

void kv_frames_item(struct kv_outbound *out, struct kv_keyspace *keyspace, struct kv_slice head,
                    const struct kv_item *item, struct kv_slice tail)
{
    if (item->value.len > KV_OUTBOUND_LARGEST_COPY) {
        struct kv_piece *piece = kv_frames_shared(out->chunks->tally, keyspace, head, item, tail);
        kv_outbound_append_piece(out, piece);
        kv_piece_unref(piece);
        return;
    }
    kv_frames_parts(out, head, item->value, tail);
}

void kv_frames_control(struct kv_outbound *out, enum kv_frame_opcode opcode,
                       struct kv_slice payload)
{
    assert(payload.len <= KV_FRAME_LONGEST_CONTROL);
    append(reserve_frame(out, opcode, payload.len), payload);
}

void kv_frames_close(struct kv_outbound *out, uint16_t code, struct kv_slice reason)
{
    const char bytes[] = {(char)(code >> 8), (char)code};
    bool has_code = code != KV_CLOSE_NONE;
    size_t len = has_code ? sizeof(bytes) + reason.len : 0;
    assert(len <= KV_FRAME_LONGEST_CONTROL);
    char *at = reserve_frame(out, KV_FRAME_CLOSE, len);
    if (has_code)
        append(append(at, (struct kv_slice){bytes, sizeof(bytes)}), reason);
}

struct kv_piece *kv_frames_shared(struct kv_tally *tally, struct kv_keyspace *keyspace,
                                  struct kv_slice head, const struct kv_item *item,
                                  struct kv_slice tail)
{
    char header[KV_FRAME_LONGEST_HEADER];
    size_t len = head.len + item->value.len + tail.len;
    char *end = kv_frame_write_header(header, KV_FRAME_TEXT, len);
    struct kv_slice lead = {.bytes = header, .len = (size_t)(end - header)};
    if (item->value.len <= KV_OUTBOUND_LARGEST_COPY)
        return kv_piece_create(tally, lead, head, item->value, tail);
    return kv_piece_create_held(tally, lead, head, kv_keyspace_hold(keyspace, item), tail);
}
