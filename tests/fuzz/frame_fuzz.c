/*
 * Frames: in any chunks, the same bytes yield the same messages, control frames and fault, and text
 * messages are UTF-8.
 *
 * The first byte of an input is the length of the chunks, and its lowest bit determines whether
 * messages may be compressed; the rest is the client's data.
 */
#include "base/buffer.h"
#include "fuzz.h"
#include "wire/frame.h"

enum {
    LIMIT = 5000
};

/* The result: the opcode, length and payload of each message or control frame; then the fault. */
struct outcome {
    struct kv_buffer input, message, log;
    bool is_deflated; /* the current message */
    bool is_over;
};

static void note(struct outcome *outcome, enum kv_frame_opcode opcode, struct kv_slice payload)
{
    kv_buffer_printf(&outcome->log, "%x %zu ", (unsigned)opcode, payload.len);
    kv_buffer_append(&outcome->log, payload);
}

static void note_fault(struct outcome *outcome, enum kv_close_code code)
{
    kv_buffer_printf(&outcome->log, "fault %d", (int)code);
    outcome->is_over = true;
}

static void take_message(struct outcome *outcome, const struct kv_frame_piece *piece)
{
    struct kv_slice text = kv_buffer_slice(&outcome->message);
    bool is_invalid =
        piece->opcode == KV_FRAME_TEXT && !piece->is_deflated && !kv_utf8_is_valid(text);
    assert(text.len <= LIMIT);
    assert(!is_invalid || piece->is_first); /* in one piece, this target checks it */
    if (is_invalid)
        note_fault(outcome, KV_CLOSE_INVALID_TEXT);
    else
        note(outcome, piece->opcode, text);
}

static void take(struct outcome *outcome, const struct kv_frame_piece *piece)
{
    if (kv_frame_is_control(piece->opcode)) {
        assert(piece->is_first && piece->is_last);
        assert(piece->bytes.len <= KV_FRAME_LONGEST_CONTROL);
        note(outcome, piece->opcode, piece->bytes);
        return;
    }
    if (piece->is_first) {
        outcome->message.len = 0;
        outcome->is_deflated = piece->is_deflated;
    }
    assert(piece->is_deflated == outcome->is_deflated);
    kv_buffer_append(&outcome->message, piece->bytes);
    if (piece->is_last)
        take_message(outcome, piece);
}

static void give(struct outcome *outcome, struct kv_frame_reader *reader, struct kv_slice chunk)
{
    struct kv_buffer *input = &outcome->input;
    kv_buffer_append(input, chunk);
    size_t at = 0;
    while (!outcome->is_over) {
        struct kv_frame_piece piece;
        size_t used;
        int got = kv_frame_read(reader, input->bytes + at, input->len - at, &used, &piece);
        at += used;
        assert(at <= input->len);
        if (got == 0)
            break;
        if (got > 0)
            take(outcome, &piece);
        else
            note_fault(outcome, reader->fault);
    }
    if (at != 0)
        memmove(input->bytes, input->bytes + at, input->len - at);
    input->len -= at;
}

static struct kv_buffer read_all(struct kv_slice bytes, bool takes_deflated, size_t chunk)
{
    struct outcome outcome = {0};
    struct kv_frame_reader reader;
    kv_frame_reader_init(&reader, LIMIT);
    reader.takes_deflated = takes_deflated;
    while (bytes.len > 0) {
        size_t len = chunk != 0 && chunk < bytes.len ? chunk : bytes.len;
        give(&outcome, &reader, (struct kv_slice){bytes.bytes, len});
        bytes = (struct kv_slice){bytes.bytes + len, bytes.len - len};
    }
    kv_buffer_fini(&outcome.input);
    kv_buffer_fini(&outcome.message);
    return outcome.log;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    struct kv_slice sent = fuzz_slice(bytes + 1, len - 1);
    bool takes_deflated = (bytes[0] & 1) != 0;
    struct kv_buffer whole = read_all(sent, takes_deflated, 0);
    struct kv_buffer chunks = read_all(sent, takes_deflated, 1 + bytes[0]);
    struct kv_buffer single = read_all(sent, takes_deflated, 1);
    assert(kv_slice_equals(kv_buffer_slice(&chunks), kv_buffer_slice(&single)));
    assert(kv_slice_equals(kv_buffer_slice(&chunks), kv_buffer_slice(&whole)));
    kv_buffer_fini(&whole);
    kv_buffer_fini(&chunks);
    kv_buffer_fini(&single);
    return 0;
}
