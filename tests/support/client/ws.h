/*
 * A WebSocket client (RFC 6455) for tests of the protocol itself: a test controls every frame.
 *
 * Expectations concern the very next frame that arrives. "Nothing arrives" is asserted without
 * waiting, by a round trip: the answer to a request sent now must come next. Errors: a failed
 * expectation fails the test, at the caller's line.
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

/* The headers of a valid handshake, for requests written by hand. */
#define KV_TEST_WS_UPGRADE                                                                         \
    "Connection: Upgrade\r\nUpgrade: websocket\r\n"                                                \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

struct kv_test_ws {
    struct kv_test_stream stream;
    uint32_t mask; /* of the next frame */
    uint32_t n_fences;
    bool is_deflated;          /* permessage-deflate is negotiated */
    struct kv_buffer inflated; /* of the last frame */
};

/* A frame from the server. The payload is valid until the stream's next turn. */
struct kv_test_frame {
    uint8_t opcode;
    struct kv_slice payload; /* inflated if it was compressed */
    bool is_deflated;
    size_t n_sent; /* bytes of the payload as sent */
};

/* Connects and upgrades; a refusal fails the test. Owns: the caller, by kv_test_ws_close(). */
void kv_test_ws_open(struct kv_test_ws *ws, uint16_t port);

/* The same with further headers, each with its CRLF. */
void kv_test_ws_open_with(struct kv_test_ws *ws, uint16_t port, const char *headers);

/* The same with an offer (Sec-WebSocket-Extensions), which must be answered with `answer`; NULL:
 * must not be answered. */
void kv_test_ws_open_offering(struct kv_test_ws *ws, uint16_t port, const char *offer,
                              const char *answer);

/* A text as sent compressed. Owns: the caller, by kv_buffer_fini(). */
struct kv_buffer kv_test_ws_deflate(struct kv_slice text);

/* Queues a text message, compressed. */
void kv_test_ws_put_deflated(struct kv_test_ws *ws, struct kv_slice text);

/* Only the upgrade, over an open stream. */
void kv_test_ws_upgrade(struct kv_test_ws *ws);

/* Ends the connection without a closing handshake. */
void kv_test_ws_close(struct kv_test_ws *ws);

/* Queues a frame. first_byte: the opcode, with KV_TEST_WS_FINAL and any reserved bits. */
void kv_test_ws_put_frame(struct kv_test_ws *ws, uint8_t first_byte, struct kv_slice payload);

/* Queues a text message. */
void kv_test_ws_put(struct kv_test_ws *ws, struct kv_slice text);
void kv_test_ws_put_text(struct kv_test_ws *ws, const char *format, ...) KV_PRINTF(2, 3);

/* Queues a text message and sends everything queued. */
void kv_test_ws_send(struct kv_test_ws *ws, struct kv_slice text);
void kv_test_ws_send_text(struct kv_test_ws *ws, const char *format, ...) KV_PRINTF(2, 3);
void kv_test_ws_send_frame(struct kv_test_ws *ws, uint8_t first_byte, struct kv_slice payload);

/* The next frame, if it has arrived completely. */
bool kv_test_ws_take(struct kv_test_ws *ws, struct kv_test_frame *ret);

/* Waits for the next frame. Pings of the server are answered and skipped. Returns: false if the
 * connection ended instead. */
bool kv_test_ws_receive(struct kv_test_ws *ws, struct kv_test_frame *ret);

/* The code of a close frame; 1005 if it has none. */
int kv_test_ws_close_code(const struct kv_test_frame *frame);

/* Expects this text message next. */
#define kv_test_ws_expect(ws, ...)        kv_test_ws_expect_at(ws, __FILE__, __LINE__, __VA_ARGS__)
#define kv_test_ws_expect_slice(ws, text) kv_test_ws_expect_slice_at(ws, text, __FILE__, __LINE__)

/* Expects an error next. id: the JSON text of its id; NULL: none. */
#define kv_test_ws_expect_error(ws, id) kv_test_ws_expect_error_at(ws, id, __FILE__, __LINE__)

/* Expects the `ok` of a message with this id and key next, both as JSON texts. Returns: the
 * revision; 0 if there is none. */
#define kv_test_ws_expect_ok(ws, id, key) kv_test_ws_expect_ok_at(ws, id, key, __FILE__, __LINE__)

/* Expects that nothing is on its way to this connection: the answer to a `get` sent now comes
 * next. */
#define kv_test_ws_expect_nothing(ws) kv_test_ws_expect_nothing_at(ws, __FILE__, __LINE__)

/* Expects a frame of that kind with that payload next. */
#define kv_test_ws_expect_frame(ws, opcode, payload)                                               \
    kv_test_ws_expect_frame_at(ws, opcode, payload, __FILE__, __LINE__)

/* Expects a close frame with this code next; it is answered, and the connection ends. */
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

/* Whether the text is the `ok` of that id and key; *ret_revision is 0 if it has none. */
bool kv_test_ws_is_ok(struct kv_slice text, const char *id, const char *key,
                      uint64_t *ret_revision);

#endif
