#include "ws/frames.h"

#include <assert.h>

static char *append(char *at, struct kv_slice bytes)
{
    if (bytes.len != 0)
        memcpy(at, bytes.bytes, bytes.len);
    return at + bytes.len;
}

/* Reserves room for a payload, and writes the header before it. */
static char *reserve_frame(struct kv_outbound *out, enum kv_frame_opcode opcode, size_t len)
{
    char *at = kv_outbound_reserve(out, kv_frame_header_len(len) + len);
    return kv_frame_write_header(at, opcode, len);
}

void kv_frames_text(struct kv_outbound *out, struct kv_slice text)
{
    append(reserve_frame(out, KV_FRAME_TEXT, text.len), text);
}

void kv_frames_deflated(struct kv_outbound *out, struct kv_slice compressed)
{
    append(reserve_frame(out, KV_FRAME_DEFLATED_TEXT, compressed.len), compressed);
}

void kv_frames_parts(struct kv_outbound *out, struct kv_slice head, struct kv_slice value,
                     struct kv_slice tail)
{
    char *at = reserve_frame(out, KV_FRAME_TEXT, head.len + value.len + tail.len);
    append(append(append(at, head), value), tail);
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

/* A frame's header, as bytes. */
struct lead {
    char bytes[KV_FRAME_LONGEST_HEADER];
    size_t len;
};

static struct lead lead_of(enum kv_frame_opcode opcode, size_t len)
{
    struct lead lead;
    lead.len = (size_t)(kv_frame_write_header(lead.bytes, opcode, len) - lead.bytes);
    return lead;
}

struct kv_piece *kv_frames_copied(struct kv_tally *tally, struct kv_slice head,
                                  struct kv_slice value, struct kv_slice tail)
{
    struct lead lead = lead_of(KV_FRAME_TEXT, head.len + value.len + tail.len);
    return kv_piece_create(tally, (struct kv_slice){lead.bytes, lead.len}, head, value, tail);
}

struct kv_piece *kv_frames_shared(struct kv_tally *tally, struct kv_keyspace *keyspace,
                                  struct kv_slice head, const struct kv_item *item,
                                  struct kv_slice tail)
{
    struct lead lead = lead_of(KV_FRAME_TEXT, head.len + item->value.len + tail.len);
    struct kv_slice first = {lead.bytes, lead.len};
    if (item->value.len <= KV_OUTBOUND_LARGEST_COPY)
        return kv_frames_copied(tally, head, item->value, tail);
    return kv_piece_create_held(tally, first, head, kv_keyspace_hold(keyspace, item), tail);
}

struct kv_piece *kv_frames_shared_deflated(struct kv_tally *tally, struct kv_held compressed)
{
    struct kv_slice none = {0};
    struct lead lead = lead_of(KV_FRAME_DEFLATED_TEXT, compressed.bytes.len);
    struct kv_slice first = {lead.bytes, lead.len};
    if (compressed.release != NULL && compressed.bytes.len > KV_OUTBOUND_LARGEST_COPY)
        return kv_piece_create_held(tally, first, none, compressed, none);
    struct kv_piece *piece = kv_piece_create(tally, first, none, compressed.bytes, none);
    kv_held_release(&compressed);
    return piece;
}

size_t kv_frames_text_len(const struct kv_piece *piece)
{
    struct kv_slice parts[KV_PIECE_PARTS];
    size_t len;
    kv_frames_text_of(piece, parts, &len);
    return len;
}

size_t kv_frames_text_of(const struct kv_piece *piece, struct kv_slice ret_parts[KV_PIECE_PARTS],
                         size_t *ret_len)
{
    size_t n = kv_piece_parts(piece, ret_parts);
    size_t whole = 0;
    for (size_t i = 0; i < n; i++)
        whole += ret_parts[i].len;
    size_t header = kv_frame_written_header_len(ret_parts[0].bytes);
    ret_parts[0] = (struct kv_slice){ret_parts[0].bytes + header, ret_parts[0].len - header};
    *ret_len = whole - header;
    return n;
}
