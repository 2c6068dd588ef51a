/*
 * WebSocket frames (RFC 6455, section 5): a reader of the client's frames, and the headers of the
 * server's. Nothing is allocated, and payloads are unmasked in place.
 *
 * The reader checks everything that the RFC requires of a client: masks, reserved bits and opcodes,
 * the shortest form of lengths, fragments and the control frames between them, UTF-8, close codes
 * and reasons; and the limit of a message's length as soon as it is announced. It reports whether a
 * message is compressed (RFC 7692), but does not inflate it: the text and its length are unknown
 * here.
 */
#ifndef KV_WIRE_FRAME_H
#define KV_WIRE_FRAME_H

#include "base/utf8.h"

enum kv_frame_opcode {
    KV_FRAME_CONTINUATION = 0x0,
    KV_FRAME_TEXT = 0x1,
    KV_FRAME_BINARY = 0x2,
    KV_FRAME_CLOSE = 0x8,
    KV_FRAME_PING = 0x9,
    KV_FRAME_PONG = 0xa,
    KV_FRAME_DEFLATED_TEXT = 0x41, /* a text that is compressed; for kv_frame_write_header() only */
};

static inline bool kv_frame_is_control(enum kv_frame_opcode opcode)
{
    return opcode >= KV_FRAME_CLOSE;
}

enum kv_close_code {
    KV_CLOSE_GOING_AWAY = 1001,
    KV_CLOSE_PROTOCOL_ERROR = 1002,
    KV_CLOSE_NONE = 1005, /* never sent: a close frame without a code */
    KV_CLOSE_INVALID_TEXT = 1007,
    KV_CLOSE_POLICY = 1008,
    KV_CLOSE_TOO_BIG = 1009,
    KV_CLOSE_INTERNAL_ERROR = 1011,
    KV_CLOSE_TRY_AGAIN_LATER = 1013,
    KV_CLOSE_UNAUTHORIZED = 3000,
};

enum {
    KV_FRAME_LONGEST_HEADER = 10, /* of a server's frame */
    KV_FRAME_LONGEST_CONTROL = 125
};

/* A control frame, or the available part of a message. */
struct kv_frame_piece {
    enum kv_frame_opcode opcode; /* of a continuation: that of its message */
    bool is_first;               /* of its message; a control frame is both first and last */
    bool is_last;
    bool is_deflated;      /* its message is compressed */
    struct kv_slice bytes; /* in the input, unmasked */
};

/* The state of one connection. Owns nothing. */
struct kv_frame_reader {
    size_t max_message_bytes;
    size_t message_bytes;        /* of the current message, as announced so far */
    uint64_t left;               /* bytes left of the payload of the current frame */
    uint64_t mask;               /* for its next eight bytes */
    struct kv_utf8_stream utf8;  /* of the current message, if it is text */
    enum kv_frame_opcode opcode; /* of the current message; CONTINUATION: there is none */
    bool is_final;               /* the current frame is the last of its message */
    bool takes_deflated;         /* messages may be compressed */
    bool is_deflated;            /* the current message is compressed */
    enum kv_close_code fault;    /* 0: none yet */
};

void kv_frame_reader_init(struct kv_frame_reader *reader, size_t max_message_bytes);

/* Reads from the front of the input, and writes to it: payloads are unmasked in place.
 * *ret_used: the number of bytes that are finished (though the piece lies in them); pass the rest
 * again, followed by more input. It may be above 0 whatever is returned.
 * Text that comes in several pieces has been checked for UTF-8. A message in one piece has not, as
 * the scanner checks it; nor has a compressed one.
 * Returns: 1 and *ret_piece; 0 if more input is needed; -1 if the peer violated the protocol or the
 * limit: `reader->fault` is the code to close with, and nothing more is read. */
int kv_frame_read(struct kv_frame_reader *reader, char *bytes, size_t len, size_t *ret_used,
                  struct kv_frame_piece *ret_piece);

/* Whether a message has begun and not ended. */
static inline bool kv_frame_is_within_message(const struct kv_frame_reader *reader)
{
    return reader->opcode != KV_FRAME_CONTINUATION;
}

/* The code of a close frame that was read. Returns: KV_CLOSE_NONE if it has none. */
uint16_t kv_frame_close_code(struct kv_slice payload);

static inline size_t kv_frame_header_len(uint64_t len)
{
    return len < 126 ? 2 : len <= UINT16_MAX ? 4 : KV_FRAME_LONGEST_HEADER;
}

/* Writes the header of a frame of the server: a whole message, or a control frame.
 * at: room for kv_frame_header_len(). Returns: the place where the payload begins. */
char *kv_frame_write_header(char *at, enum kv_frame_opcode opcode, uint64_t len);

/* The length of a header that kv_frame_write_header() has written. */
size_t kv_frame_written_header_len(const char *header);

#endif
