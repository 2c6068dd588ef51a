/*
 * WebSocket frames (RFC 6455, section 5): a reader of what a client sends, and the header of what
 * a server sends. Nothing is allocated, and payloads are unmasked where they lie.
 *
 * The reader judges all that the RFC demands of a client: masks, reserved bits and opcodes, the
 * shortest form of lengths, fragments and the control frames between them, UTF-8, close codes and
 * reasons; and the limit of a message's length as soon as it is announced. Whether a message is
 * compressed (RFC 7692) it only says: neither its text nor its length is known here.
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
    KV_CLOSE_NONE = 1005, /* never sent: it stands for a close frame without a code */
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

/* What has been read: a control frame, or as much of a message as is there. */
struct kv_frame_piece {
    enum kv_frame_opcode opcode; /* a continuation has that of its message */
    bool is_first;               /* of its message; a control frame is both */
    bool is_last;
    bool is_deflated;      /* its message is compressed */
    struct kv_slice bytes; /* in the input, unmasked */
};

/* Owns nothing. One connection's. */
struct kv_frame_reader {
    size_t max_message_bytes;
    size_t message_bytes;        /* of the message under way, as announced so far */
    uint64_t left;               /* of the payload of the frame under way */
    uint64_t mask;               /* of its next eight bytes */
    struct kv_utf8_stream utf8;  /* of the message under way, if it is text */
    enum kv_frame_opcode opcode; /* of the message under way; CONTINUATION: there is none */
    bool is_final;               /* the frame under way is the last of its message */
    bool takes_deflated;         /* messages may be compressed */
    bool is_deflated;            /* the message under way is */
    enum kv_close_code fault;    /* 0: none yet */
};

void kv_frame_reader_init(struct kv_frame_reader *reader, size_t max_message_bytes);

/* Reads from the front of the input, which is written to: payloads are unmasked in place.
 * *ret_used: the bytes that are done with (though the piece lies in them); what is behind them is
 * to be given again, and more behind it. It may be above 0 whatever is returned.
 * Text that comes in several pieces has been checked for UTF-8; a message in one piece has not, as
 * whoever scans it does so anyway; nor has one that is compressed.
 * Returns: 1 and *ret_piece; 0 where more input is needed; -1 where the peer broke the protocol or
 * the limit: `reader->fault` is the code to close with, and nothing more is read. */
int kv_frame_read(struct kv_frame_reader *reader, char *bytes, size_t len, size_t *ret_used,
                  struct kv_frame_piece *ret_piece);

/* Whether a message has begun and not ended. */
static inline bool kv_frame_is_within_message(const struct kv_frame_reader *reader)
{
    return reader->opcode != KV_FRAME_CONTINUATION;
}

/* The code of a close frame that was read. Returns: KV_CLOSE_NONE where it has none. */
uint16_t kv_frame_close_code(struct kv_slice payload);

static inline size_t kv_frame_header_len(uint64_t len)
{
    return len < 126 ? 2 : len <= UINT16_MAX ? 4 : KV_FRAME_LONGEST_HEADER;
}

/* Writes the header of a server's frame that is a whole message, or a control frame.
 * at: room for kv_frame_header_len(). Returns: where the payload begins. */
char *kv_frame_write_header(char *at, enum kv_frame_opcode opcode, uint64_t len);

/* The length of a header that it has written. */
size_t kv_frame_written_header_len(const char *header);

#endif
