/*
 * WebSocket input through the session: for any input after a valid handshake, the output consists
 * of complete frames, JSON texts, compressed or not, and at most one close frame with a code of RFC
 * 6455.
 *
 * The first byte of an input determines the pieces in which the rest arrives, and its lowest bit
 * whether the rest is sent unchanged or made into frames: a frame is a first byte, the length of
 * its payload (one byte), and the payload, which is masked here. A length of 255 lets time pass
 * instead.
 */
#include "served.h"
#include "wire/deflate.h"
#include "wire/json.h"

enum {
    TIME_PASSES = 255,
    PASSES_MS = 3000
};

static const struct kv_slice handshake =
    KV_SLICE("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");

/* ---- sending ---- */

static void append_frame(struct kv_buffer *out, uint8_t first_byte, const uint8_t *payload,
                         size_t len)
{
    static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    kv_buffer_append_char(out, (char)first_byte);
    if (len < 126) {
        kv_buffer_append_char(out, (char)(0x80 | len));
    } else {
        kv_buffer_append_char(out, (char)(0x80 | 126));
        kv_buffer_append_char(out, (char)(len >> 8));
        kv_buffer_append_char(out, (char)len);
    }
    kv_buffer_append(out, (struct kv_slice){(const char *)mask, sizeof(mask)});
    for (size_t i = 0; i < len; i++)
        kv_buffer_append_char(out, (char)(payload[i] ^ mask[i % 4]));
}

static void send_frames(const uint8_t *at, size_t left, size_t piece)
{
    struct kv_buffer out = {0};
    while (left >= 2) {
        size_t len = at[1] == TIME_PASSES ? 0 : at[1];
        if (len > left - 2)
            len = left - 2;
        if (at[1] == TIME_PASSES) {
            served_send(kv_buffer_slice(&out), piece);
            out.len = 0;
            served_pass_time(PASSES_MS);
        } else {
            append_frame(&out, at[0], at + 2, len);
        }
        at += 2 + len;
        left -= 2 + len;
    }
    served_send(kv_buffer_slice(&out), piece);
    kv_buffer_fini(&out);
}

/* ---- output ---- */

static bool is_close_code(unsigned code)
{
    return code == 1000 || code == 1001 || code == 1002 || code == 1003 || code == 1007 ||
           code == 1009 || code == 1011 || code == 1013 || (code >= 3000 && code <= 4999) ||
           (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006);
}

static void check_close(struct kv_slice payload)
{
    const uint8_t *code = (const uint8_t *)payload.bytes;
    assert(payload.len == 0 || payload.len >= 2);
    if (payload.len >= 2)
        assert(is_close_code((unsigned)code[0] << 8 | code[1]));
}

static void check_text(struct kv_slice payload)
{
    struct kv_slice value;
    struct kv_json_error error;
    assert(kv_json_check(payload, 128, &value, &error) == 0);
    assert(kv_slice_has_prefix(payload, KV_SLICE("{\"type\":\"")));
}

static void check_deflated(struct kv_slice payload)
{
    struct kv_inflater *inflater = kv_inflater_create();
    struct kv_buffer text = {0};
    kv_inflater_begin(inflater, payload);
    assert(kv_inflate(inflater, 1 << 20, &text) == KV_INFLATED_WHOLE);
    assert(text.len >= KV_DEFLATE_SHORTEST && payload.len < text.len);
    check_text(kv_buffer_slice(&text));
    kv_buffer_fini(&text);
    kv_inflater_destroy(inflater);
}

/* Returns: the length of the payload; *ret_header: where it begins. */
static size_t payload_len(const uint8_t *frame, size_t left, size_t *ret_header)
{
    size_t len = frame[1];
    *ret_header = len < 126 ? 2 : len == 126 ? 4 : 10;
    assert((frame[1] & 0x80) == 0 && left >= *ret_header);
    if (len < 126)
        return len;
    len = 0;
    for (size_t i = 2; i < *ret_header; i++)
        len = len << 8 | frame[i];
    return len;
}

/* Returns: whether it was a close frame. */
static bool check_frame(uint8_t first_byte, struct kv_slice payload)
{
    switch (first_byte) {
    case 0x81:
        check_text(payload);
        return false;
    case 0xc1:
        check_deflated(payload);
        return false;
    case 0x88:
        check_close(payload);
        return true;
    default:
        assert(first_byte == 0x89 || first_byte == 0x8a); /* ping, pong */
        return false;
    }
}

static void check_answers(struct kv_slice text)
{
    const char *end = memmem(text.bytes, text.len, "\r\n\r\n", 4);
    assert(kv_slice_has_prefix(text, KV_SLICE("HTTP/1.1 101 ")) && end != NULL);
    const uint8_t *at = (const uint8_t *)end + 4;
    size_t left = text.len - (size_t)((const char *)at - text.bytes);
    bool is_closed = false;
    while (left > 0) {
        size_t header;
        assert(!is_closed && left >= 2);
        size_t len = payload_len(at, left, &header);
        assert(len <= left - header);
        is_closed = check_frame(at[0], (struct kv_slice){(const char *)at + header, len});
        at += header + len;
        left -= header + len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    served_open(SERVED_BY_FAST_PATH);
    served_send(handshake, 0);
    if ((bytes[0] & 1) != 0)
        served_send(fuzz_slice(bytes + 1, len - 1), bytes[0] / 2);
    else
        send_frames(bytes + 1, len - 1, bytes[0] / 2);
    check_answers(served_close());
    return 0;
}
