/*
 * A WebSocket client (RFC 6455) that can also break every rule: frames are made as the test says.
 *
 * Expectations are about the very next thing that arrives. "Nothing arrives" is asserted without
 * waiting, by a round trip: the answer to a question asked now must come next.
 * Errors: what is not as expected fails the test, at the caller's line.
 */
#ifndef KV_TEST_WS_H
#define KV_TEST_WS_H

#include "support/client/http.h"

enum kv_test_opcode {
    KV_TEST_WS_CONTINUATION = 0x0,
    KV_TEST_WS_TEXT = 0x1,
    KV_TEST_WS_BINARY = 0x2,
    KV_TEST_WS_CLOSE = 0x8,
    KV_TEST_WS_PING = 0x9,
    KV_TEST_WS_PONG = 0xa,
    KV_TEST_WS_DEFLATED = 0x40, /* the bit of a compressed message's first frame */
    KV_TEST_WS_FINAL = 0x80,    /* the bit of a message's last frame */
};

/* The headers of a right handshake, for requests that are made by hand. */
#define KV_TEST_WS_UPGRADE                                                                         \
    "Connection: Upgrade\r\nUpgrade: websocket\r\n"                                                \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

struct kv_test_ws {
    struct kv_test_stream stream;
    uint32_t mask; /* of the next frame */
    uint32_t n_fences;
    bool is_deflated;          /* permessage-deflate has been agreed on */
    struct kv_buffer inflated; /* of the last frame */
};

/* A frame from the server. The payload is valid until the stream's next turn. */
struct kv_test_frame {
    uint8_t opcode;
    struct kv_slice payload; /* inflated where it came compressed */
    bool is_deflated;
    size_t n_sent; /* bytes of the payload as it came */
};

/* Connects and upgrades; a refusal fails the test. Owns: the caller, by kv_test_ws_close(). */
void kv_test_ws_open(struct kv_test_ws *ws, uint16_t port);

/* The same with further headers, each with its CRLF. */
void kv_test_ws_open_with(struct kv_test_ws *ws, uint16_t port, const char *headers);

/* The same with an offer (Sec-WebSocket-Extensions), which must be answered with `answer`; NULL:
 * with none. */
void kv_test_ws_open_offering(struct kv_test_ws *ws, uint16_t port, const char *offer,
                              const char *answer);

/* What is sent of a text that is compressed. Owns: the caller, by kv_buffer_fini(). */
struct kv_buffer kv_test_ws_deflate(struct kv_slice text);

/* Queues a text message, compressed. */
void kv_test_ws_put_deflated(struct kv_test_ws *ws, struct kv_slice text);

/* The upgrade alone, over a stream that is open already. */
void kv_test_ws_upgrade(struct kv_test_ws *ws);

/* Ends the connection without a closing handshake. */
void kv_test_ws_close(struct kv_test_ws *ws);

/* Queues a frame. first_byte: the opcode, with KV_TEST_WS_FINAL and whatever reserved bits. */
void kv_test_ws_put_frame(struct kv_test_ws *ws, uint8_t first_byte, struct kv_slice payload);

/* Queues a text message. */
void kv_test_ws_put(struct kv_test_ws *ws, struct kv_slice text);
void kv_test_ws_put_text(struct kv_test_ws *ws, const char *format, ...) KV_PRINTF(2, 3);

/* Queues a text message and sends all that is queued. */
void kv_test_ws_send(struct kv_test_ws *ws, struct kv_slice text);
void kv_test_ws_send_text(struct kv_test_ws *ws, const char *format, ...) KV_PRINTF(2, 3);
void kv_test_ws_send_frame(struct kv_test_ws *ws, uint8_t first_byte, struct kv_slice payload);

/* The next frame, if it is there in full already. */
bool kv_test_ws_take(struct kv_test_ws *ws, struct kv_test_frame *ret);

/* Waits for the next frame. Pings of the server are answered and passed over.
 * Returns: false where the connection ended instead. */
bool kv_test_ws_receive(struct kv_test_ws *ws, struct kv_test_frame *ret);

/* The code of a close frame; 1005 where it has none. */
int kv_test_ws_close_code(const struct kv_test_frame *frame);

/* Next comes this text message. */
#define kv_test_ws_expect(ws, ...)        kv_test_ws_expect_at(ws, __FILE__, __LINE__, __VA_ARGS__)
#define kv_test_ws_expect_slice(ws, text) kv_test_ws_expect_slice_at(ws, text, __FILE__, __LINE__)

/* Next comes an error. id: the JSON text of the id that it bears; NULL: none. */
#define kv_test_ws_expect_error(ws, id) kv_test_ws_expect_error_at(ws, id, __FILE__, __LINE__)

/* Next comes the `ok` of a message with this id about this key, both as JSON texts.
 * Returns: the revision; 0 where it has none. */
#define kv_test_ws_expect_ok(ws, id, key) kv_test_ws_expect_ok_at(ws, id, key, __FILE__, __LINE__)

/* Nothing is on its way to this connection: the answer to a `get` asked now comes next. */
#define kv_test_ws_expect_nothing(ws) kv_test_ws_expect_nothing_at(ws, __FILE__, __LINE__)

/* Next comes a frame of that kind with that payload. */
#define kv_test_ws_expect_frame(ws, opcode, payload)                                               \
    kv_test_ws_expect_frame_at(ws, opcode, payload, __FILE__, __LINE__)

/* Next comes a close frame with this code; it is answered, and the connection ends. */
#define kv_test_ws_expect_closed(ws, code) kv_test_ws_expect_closed_at(ws, code, __FILE__, __LINE__)

void kv_test_ws_expect_at(struct kv_test_ws *ws, const char *file, int line, const char *format,
                          ...) KV_PRINTF(4, 5);
void kv_test_ws_expect_slice_at(struct kv_test_ws *ws, struct kv_slice text, const char *file,
                                int line);
void kv_test_ws_expect_error_at(struct kv_test_ws *ws, const char *id, const char *file, int line);
uint64_t kv_test_ws_expect_ok_at(struct kv_test_ws *ws, const char *id, const char *key,
                                 const char *file, int line);
void kv_test_ws_expect_nothing_at(struct kv_test_ws *ws, const char *file, int line);
void kv_test_ws_expect_frame_at(struct kv_test_ws *ws, uint8_t opcode, struct kv_slice payload,
                                const char *file, int line);
void kv_test_ws_expect_closed_at(struct kv_test_ws *ws, int code, const char *file, int line);

/* Whether a text is the `ok` of that id and key; *ret_revision is 0 where it has none. */
bool kv_test_ws_is_ok(struct kv_slice text, const char *id, const char *key,
                      uint64_t *ret_revision);

#endif
