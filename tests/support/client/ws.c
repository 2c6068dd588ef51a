/*
 * Outgoing frames are masked with a changing key. Incoming frames must be unmasked, whole messages:
 * this server does not fragment. Each compressed message is inflated separately, as the server
 * keeps no context between messages.
 */
#include "support/client/ws.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include <zlib.h>

enum {
    SHOWN = 300 /* bytes of a text shown in a failure message */
};

/* The answer to the key of KV_TEST_WS_UPGRADE: the example of RFC 6455, section 1.3. */
static const char ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

static void check_extensions(struct kv_test_ws *ws, const struct kv_test_response *response,
                             const char *expected)
{
    const char *extensions = kv_test_response_header(response, "sec-websocket-extensions");
    if ((extensions == NULL) != (expected == NULL) ||
        (expected != NULL && strcmp(extensions, expected) != 0))
        fail_msg("the extensions are: %s", extensions == NULL ? "none" : extensions);
    ws->is_deflated = extensions != NULL;
}

static void upgrade(struct kv_test_ws *ws, const char *more, const char *extensions)
{
    struct kv_test_response response = {0};
    char headers[16384];
    snprintf(headers, sizeof(headers), "%s%s", KV_TEST_WS_UPGRADE, more);
    int status = kv_test_http_ask(&ws->stream, "GET", "/ws", headers, NULL, &response);
    const char *accept = kv_test_response_header(&response, "sec-websocket-accept");
    if (status != 101 || accept == NULL || strcmp(accept, ACCEPT) != 0)
        fail_msg("the upgrade was answered with %d", status);
    check_extensions(ws, &response, extensions);
    kv_test_response_fini(&response);
}

void kv_test_ws_open(struct kv_test_ws *ws, uint16_t port)
{
    *ws = (struct kv_test_ws){.mask = 0x9e3779b9};
    kv_test_stream_open(&ws->stream, port);
    kv_test_ws_upgrade(ws);
}

void kv_test_ws_open_with(struct kv_test_ws *ws, uint16_t port, const char *headers)
{
    *ws = (struct kv_test_ws){.mask = 0x9e3779b9};
    kv_test_stream_open(&ws->stream, port);
    upgrade(ws, headers, NULL);
}

void kv_test_ws_open_offering(struct kv_test_ws *ws, uint16_t port, const char *offer,
                              const char *answer)
{
    char header[1024];
    snprintf(header, sizeof(header), "Sec-WebSocket-Extensions: %s\r\n", offer);
    *ws = (struct kv_test_ws){.mask = 0x9e3779b9};
    kv_test_stream_open(&ws->stream, port);
    upgrade(ws, header, answer);
}

struct kv_buffer kv_test_ws_deflate(struct kv_slice text)
{
    struct kv_buffer out = {0};
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t most = deflateBound(&stream, text.len) + 16;
    stream.next_in = (Bytef *)(uintptr_t)text.bytes;
    stream.avail_in = (uInt)text.len;
    stream.next_out = (Bytef *)kv_buffer_reserve(&out, most);
    stream.avail_out = (uInt)most;
    assert_int_equal(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
    out.len = stream.total_out - 4;
    deflateEnd(&stream);
    return out;
}

void kv_test_ws_put_deflated(struct kv_test_ws *ws, struct kv_slice text)
{
    struct kv_buffer compressed = kv_test_ws_deflate(text);
    kv_test_ws_put_frame(ws, KV_TEST_WS_FINAL | KV_TEST_WS_DEFLATED | KV_TEST_WS_TEXT,
                         kv_buffer_slice(&compressed));
    kv_buffer_fini(&compressed);
}

void kv_test_ws_upgrade(struct kv_test_ws *ws)
{
    upgrade(ws, "", NULL);
}

void kv_test_ws_close(struct kv_test_ws *ws)
{
    kv_test_stream_close(&ws->stream);
    kv_buffer_fini(&ws->inflated);
}

static void append_big_endian(struct kv_buffer *out, uint64_t number, int n_bytes)
{
    for (int at = n_bytes - 1; at >= 0; at--)
        kv_buffer_append_char(out, (char)(number >> (8 * at)));
}

static void append_header(struct kv_buffer *out, uint8_t first_byte, size_t len)
{
    const uint8_t is_masked = 0x80;
    kv_buffer_append_char(out, (char)first_byte);
    if (len < 126) {
        kv_buffer_append_char(out, (char)(is_masked | len));
    } else if (len <= UINT16_MAX) {
        kv_buffer_append_char(out, (char)(is_masked | 126));
        append_big_endian(out, len, 2);
    } else {
        kv_buffer_append_char(out, (char)(is_masked | 127));
        append_big_endian(out, len, 8);
    }
}

void kv_test_ws_put_frame(struct kv_test_ws *ws, uint8_t first_byte, struct kv_slice payload)
{
    struct kv_buffer *out = &ws->stream.out;
    if (ws->stream.is_ended)
        return;
    append_header(out, first_byte, payload.len);
    char mask[4];
    memcpy(mask, &ws->mask, sizeof(mask));
    kv_buffer_append(out, (struct kv_slice){mask, sizeof(mask)});
    char *room = kv_buffer_reserve(out, payload.len);
    for (size_t i = 0; i < payload.len; i++)
        room[i] = payload.bytes[i] ^ mask[i % 4];
    out->len += payload.len;
    ws->mask = ws->mask * 1664525 + 1013904223;
}

void kv_test_ws_put(struct kv_test_ws *ws, struct kv_slice text)
{
    kv_test_ws_put_frame(ws, KV_TEST_WS_FINAL | KV_TEST_WS_TEXT, text);
}

static void put_formatted(struct kv_test_ws *ws, const char *format, va_list args)
{
    char *text;
    int len = vasprintf(&text, format, args);
    assert_true(len >= 0);
    kv_test_ws_put(ws, (struct kv_slice){text, (size_t)len});
    free(text);
}

void kv_test_ws_put_text(struct kv_test_ws *ws, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_formatted(ws, format, args);
    va_end(args);
}

void kv_test_ws_send(struct kv_test_ws *ws, struct kv_slice text)
{
    kv_test_ws_put(ws, text);
    kv_test_stream_flush(&ws->stream);
}

void kv_test_ws_send_text(struct kv_test_ws *ws, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    put_formatted(ws, format, args);
    va_end(args);
    kv_test_stream_flush(&ws->stream);
}

void kv_test_ws_send_frame(struct kv_test_ws *ws, uint8_t first_byte, struct kv_slice payload)
{
    kv_test_ws_put_frame(ws, first_byte, payload);
    kv_test_stream_flush(&ws->stream);
}

static uint64_t read_big_endian(const char *bytes, int n_bytes)
{
    uint64_t number = 0;
    for (int i = 0; i < n_bytes; i++)
        number = number << 8 | (uint8_t)bytes[i];
    return number;
}

/* Returns: the length of the header, 0 if it is incomplete. */
static size_t parse_header(const struct kv_test_ws *ws, struct kv_slice bytes, uint64_t *ret_len)
{
    if (bytes.len < 2)
        return 0;
    uint8_t first = (uint8_t)bytes.bytes[0];
    uint8_t second = (uint8_t)bytes.bytes[1];
    unsigned bits = first & 0xf0;
    bool is_deflated = ws->is_deflated && first == 0xc1;
    if ((bits != KV_TEST_WS_FINAL && !is_deflated) || (second & 0x80) != 0)
        fail_msg("a frame that this server must not send: %02x %02x", first, second);
    int n_more = second == 126 ? 2 : second == 127 ? 8 : 0;
    if (bytes.len < 2 + (size_t)n_more)
        return 0;
    *ret_len = n_more == 0 ? second : read_big_endian(bytes.bytes + 2, n_more);
    return 2 + (size_t)n_more;
}

static struct kv_slice inflate_payload(struct kv_test_ws *ws, struct kv_slice payload)
{
    struct kv_buffer in = {0};
    z_stream stream = {0};
    int result = Z_OK;
    kv_buffer_append(&in, payload);
    kv_buffer_append(&in, (struct kv_slice){"\0\0\xff\xff", 4});
    assert_int_equal(inflateInit2(&stream, -15), Z_OK);
    stream.next_in = (Bytef *)in.bytes;
    stream.avail_in = (uInt)in.len;
    ws->inflated.len = 0;
    do {
        stream.next_out = (Bytef *)kv_buffer_reserve(&ws->inflated, 65536);
        stream.avail_out = 65536;
        result = inflate(&stream, Z_SYNC_FLUSH);
        ws->inflated.len += 65536 - stream.avail_out;
    } while (result == Z_OK && stream.avail_out == 0);
    if ((result != Z_OK && result != Z_BUF_ERROR) || stream.avail_in != 0)
        fail_msg("a message that cannot be inflated");
    inflateEnd(&stream);
    kv_buffer_fini(&in);
    return kv_buffer_slice(&ws->inflated);
}

bool kv_test_ws_take(struct kv_test_ws *ws, struct kv_test_frame *ret)
{
    struct kv_slice unread = kv_test_stream_unread(&ws->stream);
    uint64_t len;
    size_t header = parse_header(ws, unread, &len);
    if (header == 0 || unread.len - header < len)
        return false;
    *ret = (struct kv_test_frame){
        .opcode = (uint8_t)unread.bytes[0] & 0x0f,
        .payload = {unread.bytes + header, len},
        .is_deflated = (unread.bytes[0] & KV_TEST_WS_DEFLATED) != 0,
        .n_sent = len,
    };
    if (ret->is_deflated)
        ret->payload = inflate_payload(ws, ret->payload);
    kv_test_stream_use(&ws->stream, header + len);
    return true;
}

/* Returns: false if the connection ended instead. */
static bool receive_any(struct kv_test_ws *ws, struct kv_test_frame *ret)
{
    while (!kv_test_ws_take(ws, ret)) {
        if (ws->stream.is_ended)
            return false;
        kv_test_stream_wait(&ws->stream);
    }
    return true;
}

bool kv_test_ws_receive(struct kv_test_ws *ws, struct kv_test_frame *ret)
{
    int64_t began_ms = kv_test_now_ms();
    while (receive_any(ws, ret)) {
        if (ret->opcode != KV_TEST_WS_PING)
            return true;
        if (kv_test_now_ms() - began_ms > KV_TEST_LIMIT_MS)
            fail_msg("nothing but pings came for %d ms", KV_TEST_LIMIT_MS);
        kv_test_ws_put_frame(ws, KV_TEST_WS_FINAL | KV_TEST_WS_PONG, ret->payload);
    }
    return false;
}

int kv_test_ws_close_code(const struct kv_test_frame *frame)
{
    return frame->payload.len < 2 ? 1005 : (int)read_big_endian(frame->payload.bytes, 2);
}

static int shown_len(struct kv_slice text)
{
    return (int)(text.len < SHOWN ? text.len : SHOWN);
}

static void fail_with_frame(struct kv_slice expected, const struct kv_test_frame *frame,
                            const char *file, int line)
{
    print_error("expected: %.*s (%zu bytes)\n", shown_len(expected), expected.bytes, expected.len);
    if (frame == NULL)
        print_error("but the connection ended\n");
    else if (frame->opcode == KV_TEST_WS_CLOSE)
        print_error("but the server closed with %d\n", kv_test_ws_close_code(frame));
    else
        print_error("but got opcode %x: %.*s (%zu bytes)\n", frame->opcode,
                    shown_len(frame->payload), frame->payload.bytes, frame->payload.len);
    _fail(file, line);
}

void kv_test_ws_expect_frame_at(struct kv_test_ws *ws, uint8_t opcode, struct kv_slice payload,
                                const char *file, int line)
{
    struct kv_test_frame frame;
    if (!kv_test_ws_receive(ws, &frame))
        fail_with_frame(payload, NULL, file, line);
    if (frame.opcode != opcode || !kv_slice_equals(frame.payload, payload))
        fail_with_frame(payload, &frame, file, line);
}

void kv_test_ws_expect_slice_at(struct kv_test_ws *ws, struct kv_slice text, const char *file,
                                int line)
{
    kv_test_ws_expect_frame_at(ws, KV_TEST_WS_TEXT, text, file, line);
}

void kv_test_ws_expect_at(struct kv_test_ws *ws, const char *file, int line, const char *format,
                          ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    assert_true(len >= 0);
    kv_test_ws_expect_slice_at(ws, (struct kv_slice){text, (size_t)len}, file, line);
    free(text);
}

/* Waits for a text message. */
static struct kv_slice receive_text(struct kv_test_ws *ws, const char *expected, const char *file,
                                    int line)
{
    struct kv_test_frame frame;
    if (!kv_test_ws_receive(ws, &frame))
        fail_with_frame(kv_slice_of(expected), NULL, file, line);
    if (frame.opcode != KV_TEST_WS_TEXT)
        fail_with_frame(kv_slice_of(expected), &frame, file, line);
    return frame.payload;
}

static bool has_suffix(struct kv_slice text, struct kv_slice suffix)
{
    return text.len >= suffix.len &&
           memcmp(text.bytes + text.len - suffix.len, suffix.bytes, suffix.len) == 0;
}

/* A message of that type up to its payload. */
static struct kv_buffer message_start(const char *type, const char *id)
{
    struct kv_buffer start = {0};
    kv_buffer_printf(&start, "{\"type\":\"%s\",", type);
    if (id != NULL)
        kv_buffer_printf(&start, "\"id\":%s,", id);
    kv_buffer_printf(&start, "\"payload\":");
    return start;
}

/* Whether the message ends like an error: with its text, or with its status if it has an id. */
static bool ends_as_error(struct kv_slice text, bool has_id)
{
    struct kv_slice name = KV_SLICE("\",\"status\":");
    if (!has_id)
        return has_suffix(text, KV_SLICE("\"}"));
    return text.len > name.len + 4 && text.bytes[text.len - 1] == '}' &&
           memcmp(text.bytes + text.len - 4 - name.len, name.bytes, name.len) == 0;
}

void kv_test_ws_expect_error_at(struct kv_test_ws *ws, const char *id, const char *file, int line)
{
    struct kv_slice text = receive_text(ws, "an error", file, line);
    struct kv_buffer start = message_start("error", id);
    kv_buffer_append_char(&start, '"');
    bool is_error = kv_slice_has_prefix(text, kv_buffer_slice(&start)) &&
                    ends_as_error(text, id != NULL) && text.len > start.len + 2;
    kv_buffer_fini(&start);
    if (!is_error)
        fail_with_frame(KV_SLICE("an error"),
                        &(struct kv_test_frame){.opcode = KV_TEST_WS_TEXT, .payload = text}, file,
                        line);
}

/* Reads `}}` or `,"revision":N}}`. */
static bool parse_ok_end(struct kv_slice text, uint64_t *ret_revision)
{
    struct kv_slice name = KV_SLICE(",\"revision\":");
    *ret_revision = 0;
    if (kv_slice_equals(text, KV_SLICE("}}")))
        return true;
    if (!kv_slice_has_prefix(text, name) || !has_suffix(text, KV_SLICE("}}")))
        return false;
    /* The closing braces keep strtoull() within the text. */
    char *end;
    *ret_revision = strtoull(text.bytes + name.len, &end, 10);
    return end == text.bytes + text.len - 2;
}

bool kv_test_ws_is_ok(struct kv_slice text, const char *id, const char *key, uint64_t *ret_revision)
{
    struct kv_buffer start = message_start("ok", id);
    kv_buffer_printf(&start, "{\"key\":%s", key);
    bool is_ok =
        kv_slice_has_prefix(text, kv_buffer_slice(&start)) &&
        parse_ok_end((struct kv_slice){text.bytes + start.len, text.len - start.len}, ret_revision);
    kv_buffer_fini(&start);
    return is_ok;
}

uint64_t kv_test_ws_expect_ok_at(struct kv_test_ws *ws, const char *id, const char *key,
                                 const char *file, int line)
{
    struct kv_slice text = receive_text(ws, "ok", file, line);
    uint64_t revision;
    if (!kv_test_ws_is_ok(text, id, key, &revision)) {
        print_error("id %s, key %s\n", id, key);
        fail_with_frame(KV_SLICE("ok"),
                        &(struct kv_test_frame){.opcode = KV_TEST_WS_TEXT, .payload = text}, file,
                        line);
    }
    return revision;
}

void kv_test_ws_expect_nothing_at(struct kv_test_ws *ws, const char *file, int line)
{
    uint32_t fence = ws->n_fences++;
    kv_test_ws_send_text(
        ws, "{\"type\":\"get\",\"id\":\"fence-%u\",\"payload\":{\"key\":\"fence\"}}", fence);
    kv_test_ws_expect_at(
        ws, file, line,
        "{\"type\":\"no-value\",\"id\":\"fence-%u\",\"payload\":{\"key\":\"fence\"}}", fence);
}

void kv_test_ws_expect_closed_at(struct kv_test_ws *ws, int code, const char *file, int line)
{
    struct kv_test_frame frame;
    struct kv_slice expected = KV_SLICE("a close frame");
    if (!kv_test_ws_receive(ws, &frame))
        fail_with_frame(expected, NULL, file, line);
    if (frame.opcode != KV_TEST_WS_CLOSE || kv_test_ws_close_code(&frame) != code) {
        print_error("with the code %d\n", code);
        fail_with_frame(expected, &frame, file, line);
    }
    kv_test_ws_put_frame(ws, KV_TEST_WS_FINAL | KV_TEST_WS_CLOSE, frame.payload);
    kv_test_stream_await_end(&ws->stream);
}
