/*
 * A header is read when all of it is there, and so is a control frame: until then its bytes stay
 * with the caller, and no state is needed for them. Of a data frame, all available bytes are read.
 * Whatever the first two bytes show is checked as soon as they are there.
 */
#include "wire/frame.h"

#include "base/swar.h"

enum {
    FINAL = 0x80, /* in the first byte */
    RESERVED = 0x70,
    DEFLATED = 0x40, /* the first of the reserved bits: RFC 7692, section 6 */
    OPCODE = 0x0f,
    MASKED = 0x80, /* in the second byte */
    LEN = 0x7f,
    LEN_16 = 126,
    LEN_64 = 127,
    MASK_LEN = 4,
};

struct header {
    size_t size;
    bool is_final;
    bool is_deflated;
    enum kv_frame_opcode opcode;
    uint64_t len; /* of the payload */
    uint64_t mask;
};

void kv_frame_reader_init(struct kv_frame_reader *reader, size_t max_message_bytes)
{
    *reader = (struct kv_frame_reader){.max_message_bytes = max_message_bytes};
}

static int fail(struct kv_frame_reader *reader, enum kv_close_code code)
{
    reader->fault = code;
    return -1;
}

static bool is_known(unsigned opcode)
{
    return opcode <= KV_FRAME_BINARY || (opcode >= KV_FRAME_CLOSE && opcode <= KV_FRAME_PONG);
}

/* Whether a frame may begin with these two bytes now. */
static bool may_begin_with(const struct kv_frame_reader *reader, unsigned first, unsigned second)
{
    unsigned opcode = first & OPCODE;
    bool may_be_deflated =
        reader->takes_deflated && (opcode == KV_FRAME_TEXT || opcode == KV_FRAME_BINARY);
    unsigned reserved = may_be_deflated ? RESERVED & ~DEFLATED : RESERVED;
    if ((first & reserved) != 0 || !is_known(opcode) || (second & MASKED) == 0)
        return false;
    if (kv_frame_is_control(opcode))
        return (first & FINAL) != 0 && (second & LEN) <= KV_FRAME_LONGEST_CONTROL;
    bool goes_on = opcode == KV_FRAME_CONTINUATION;
    bool is_under_way = reader->opcode != KV_FRAME_CONTINUATION;
    return goes_on == is_under_way;
}

static uint64_t read_number(const char *at, size_t n_bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < n_bytes; i++)
        number = number << 8 | (unsigned char)at[i];
    return number;
}

/* Whether the length needs the bytes that it takes. */
static bool is_shortest(uint64_t len, size_t n_bytes)
{
    if (n_bytes == 2)
        return len >= LEN_16;
    return n_bytes == 0 || (len > UINT16_MAX && len <= INT64_MAX);
}

/* The same four bytes twice, to be applied to eight. */
static uint64_t read_mask(const char *at)
{
    uint32_t half;
    memcpy(&half, at, sizeof(half));
    half = le32toh(half);
    return (uint64_t)half << 32 | half;
}

/* Returns: 1, 0 if more input is needed, -1. */
static int read_header(struct kv_frame_reader *reader, const char *bytes, size_t len,
                       struct header *ret)
{
    if (len < 2)
        return 0;
    unsigned first = (unsigned char)bytes[0];
    unsigned second = (unsigned char)bytes[1];
    if (!may_begin_with(reader, first, second))
        return fail(reader, KV_CLOSE_PROTOCOL_ERROR);
    size_t short_len = second & LEN;
    size_t n_more = short_len < LEN_16 ? 0 : short_len == LEN_16 ? 2 : 8;
    size_t size = 2 + n_more + MASK_LEN;
    if (len < size)
        return 0;
    *ret = (struct header){
        .size = size,
        .is_final = (first & FINAL) != 0,
        .is_deflated = (first & DEFLATED) != 0,
        .opcode = first & OPCODE,
        .len = n_more == 0 ? short_len : read_number(bytes + 2, n_more),
        .mask = read_mask(bytes + 2 + n_more),
    };
    return is_shortest(ret->len, n_more) ? 1 : fail(reader, KV_CLOSE_PROTOCOL_ERROR);
}

/* Unmasks 32 bytes at a time, for which the compiler uses vectors, then eight, then one. Returns:
 * the mask for the bytes that follow. */
static uint64_t unmask(char *at, size_t len, uint64_t mask)
{
    enum {
        STEP = 4
    };
    const uint64_t laid = htole64(mask);
    uint64_t words[STEP];
    for (; len >= sizeof(words); at += sizeof(words), len -= sizeof(words)) {
        memcpy(words, at, sizeof(words));
        for (size_t i = 0; i < STEP; i++)
            words[i] ^= laid;
        memcpy(at, words, sizeof(words));
    }
    for (; len >= sizeof(*words); at += sizeof(*words), len -= sizeof(*words)) {
        memcpy(words, at, sizeof(*words));
        words[0] ^= laid;
        memcpy(at, words, sizeof(*words));
    }
    for (size_t i = 0; i < len; i++, mask = mask >> 8 | mask << 56)
        at[i] = (char)(at[i] ^ (char)mask);
    return mask;
}

/* Codes of RFC 6455, section 7.4, and those that IANA has registered since (1012 to 1014). */
static bool may_close_with(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

uint16_t kv_frame_close_code(struct kv_slice payload)
{
    return payload.len < 2 ? KV_CLOSE_NONE : (uint16_t)read_number(payload.bytes, 2);
}

static int judge_close(struct kv_frame_reader *reader, struct kv_slice payload)
{
    if (payload.len == 0)
        return 1;
    if (payload.len == 1 || !may_close_with(kv_frame_close_code(payload)))
        return fail(reader, KV_CLOSE_PROTOCOL_ERROR);
    struct kv_slice reason = {payload.bytes + 2, payload.len - 2};
    return kv_utf8_is_valid(reason) ? 1 : fail(reader, KV_CLOSE_INVALID_TEXT);
}

static int read_control(struct kv_frame_reader *reader, const struct header *header, char *bytes,
                        size_t len, size_t *ret_used, struct kv_frame_piece *ret)
{
    if (len - header->size < header->len)
        return 0;
    char *payload = bytes + header->size;
    unmask(payload, header->len, header->mask);
    *ret_used = header->size + header->len;
    *ret = (struct kv_frame_piece){
        .opcode = header->opcode,
        .is_first = true,
        .is_last = true,
        .bytes = {payload, header->len},
    };
    return header->opcode == KV_FRAME_CLOSE ? judge_close(reader, ret->bytes) : 1;
}

static int begin_frame(struct kv_frame_reader *reader, const struct header *header)
{
    size_t most = reader->max_message_bytes; /* may have been lowered since the message began */
    if (reader->message_bytes > most || header->len > most - reader->message_bytes)
        return fail(reader, KV_CLOSE_TOO_BIG);
    reader->message_bytes += header->len;
    reader->left = header->len;
    reader->mask = header->mask;
    reader->is_final = header->is_final;
    if (header->opcode != KV_FRAME_CONTINUATION) {
        reader->opcode = header->opcode;
        reader->is_deflated = header->is_deflated;
    }
    return 1;
}

static bool is_text_right(struct kv_frame_reader *reader, const struct kv_frame_piece *piece)
{
    if (piece->opcode != KV_FRAME_TEXT || piece->is_deflated || (piece->is_first && piece->is_last))
        return true;
    return kv_utf8_stream_take(&reader->utf8, piece->bytes) &&
           (!piece->is_last || kv_utf8_stream_is_whole(&reader->utf8));
}

/* Reads the available part of the frame's payload. */
static int read_payload(struct kv_frame_reader *reader, bool is_first, char *bytes, size_t len,
                        struct kv_frame_piece *ret)
{
    size_t n = len < reader->left ? len : (size_t)reader->left;
    reader->mask = unmask(bytes, n, reader->mask);
    reader->left -= n;
    *ret = (struct kv_frame_piece){
        .opcode = reader->opcode,
        .is_first = is_first,
        .is_last = reader->is_final && reader->left == 0,
        .is_deflated = reader->is_deflated,
        .bytes = {bytes, n},
    };
    if (!is_text_right(reader, ret))
        return fail(reader, KV_CLOSE_INVALID_TEXT);
    if (ret->is_last) {
        reader->opcode = KV_FRAME_CONTINUATION;
        reader->message_bytes = 0;
    }
    return 1;
}

int kv_frame_read(struct kv_frame_reader *reader, char *bytes, size_t len, size_t *ret_used,
                  struct kv_frame_piece *ret_piece)
{
    struct header header = {0};
    bool is_first = reader->opcode == KV_FRAME_CONTINUATION;
    *ret_used = 0;
    if (reader->fault != 0)
        return -1;
    if (len == 0)
        return 0;
    if (reader->left == 0) {
        int got = read_header(reader, bytes, len, &header);
        if (got != 1)
            return got;
        if (kv_frame_is_control(header.opcode))
            return read_control(reader, &header, bytes, len, ret_used, ret_piece);
        if (begin_frame(reader, &header) != 1)
            return -1;
    }
    int got = read_payload(reader, is_first, bytes + header.size, len - header.size, ret_piece);
    *ret_used = header.size + ret_piece->bytes.len;
    return got;
}

char *kv_frame_write_header(char *at, enum kv_frame_opcode opcode, uint64_t len)
{
    at[0] = (char)(FINAL | opcode);
    if (len < LEN_16) {
        at[1] = (char)len;
    } else if (len <= UINT16_MAX) {
        uint16_t big = htobe16((uint16_t)len);
        at[1] = LEN_16;
        memcpy(at + 2, &big, sizeof(big));
    } else {
        uint64_t big = htobe64(len);
        at[1] = LEN_64;
        memcpy(at + 2, &big, sizeof(big));
    }
    return at + kv_frame_header_len(len);
}

size_t kv_frame_written_header_len(const char *header)
{
    return header[1] == LEN_64 ? KV_FRAME_LONGEST_HEADER : header[1] == LEN_16 ? 4 : 2;
}
