/*
 * The frame reader: each rule of RFC 6455 separately, and random input compared with a simple
 * reader that gets all of it at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "wire/frame.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

enum {
    FINAL = 0x80,
    FINAL_TEXT = FINAL | KV_FRAME_TEXT,
    FINAL_BINARY = FINAL | KV_FRAME_BINARY,
    FINAL_CONTINUATION = FINAL | KV_FRAME_CONTINUATION,
    FINAL_CLOSE = FINAL | KV_FRAME_CLOSE,
    FINAL_PING = FINAL | KV_FRAME_PING,
    FINAL_PONG = FINAL | KV_FRAME_PONG,
    LIMIT = 1 << 20,
};

static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};

/* ---- making frames ---- */

static void append_number(struct kv_buffer *out, uint64_t number, int n_bytes)
{
    while (n_bytes-- > 0)
        kv_buffer_append_char(out, (char)(number >> 8 * n_bytes));
}

static void append_header(struct kv_buffer *out, uint8_t first, size_t len)
{
    kv_buffer_append_char(out, (char)first);
    kv_buffer_append_char(out, (char)(0x80 | (len < 126 ? len : len < 65536 ? 126 : 127)));
    append_number(out, len, len < 126 ? 0 : len < 65536 ? 2 : 8);
    kv_buffer_append(out, (struct kv_slice){(const char *)mask, sizeof(mask)});
}

static void append_frame(struct kv_buffer *out, uint8_t first, struct kv_slice payload)
{
    append_header(out, first, payload.len);
    for (size_t i = 0; i < payload.len; i++)
        kv_buffer_append_char(out, (char)(payload.bytes[i] ^ mask[i % 4]));
}

/* ---- the messages read, as one text ---- */

/* One line for each message or control frame: its opcode and its payload. Then the fault. */
static void note(struct kv_buffer *log, enum kv_frame_opcode opcode, struct kv_slice payload)
{
    kv_buffer_printf(log, "%x ", (unsigned)opcode);
    kv_buffer_append(log, payload);
    kv_buffer_append_char(log, '\n');
}

static void note_fault(struct kv_buffer *log, unsigned code)
{
    kv_buffer_printf(log, "fault %u\n", code);
}

struct reading {
    struct kv_frame_reader reader;
    struct kv_buffer input, message, log;
    bool is_over;
};

static void take(struct reading *reading, const struct kv_frame_piece *piece)
{
    bool is_whole = piece->is_first && piece->is_last;
    if (kv_frame_is_control(piece->opcode)) {
        note(&reading->log, piece->opcode, piece->bytes);
        reading->is_over = piece->opcode == KV_FRAME_CLOSE;
        return;
    }
    if (is_whole && piece->opcode == KV_FRAME_TEXT && !kv_utf8_is_valid(piece->bytes)) {
        note_fault(&reading->log, KV_CLOSE_INVALID_TEXT);
        reading->is_over = true;
        return;
    }
    if (piece->is_first)
        reading->message.len = 0;
    kv_buffer_append(&reading->message, piece->bytes);
    if (piece->is_last)
        note(&reading->log, piece->opcode, kv_buffer_slice(&reading->message));
}

/* Passes the reader a chunk, after the bytes it has left over. */
static void give(struct reading *reading, struct kv_slice chunk)
{
    struct kv_buffer *input = &reading->input;
    kv_buffer_append(input, chunk);
    size_t at = 0;
    while (!reading->is_over) {
        struct kv_frame_piece piece;
        size_t used;
        int got =
            kv_frame_read(&reading->reader, input->bytes + at, input->len - at, &used, &piece);
        at += used;
        assert_true(at <= input->len);
        if (got == 0)
            break;
        if (got > 0) {
            take(reading, &piece);
        } else {
            note_fault(&reading->log, reading->reader.fault);
            reading->is_over = true;
        }
    }
    if (at != 0)
        memmove(input->bytes, input->bytes + at, input->len - at);
    input->len -= at;
}

static void begin(struct reading *reading)
{
    *reading = (struct reading){0};
    kv_frame_reader_init(&reading->reader, LIMIT);
}

static void end(struct reading *reading)
{
    kv_buffer_fini(&reading->input);
    kv_buffer_fini(&reading->message);
    kv_buffer_fini(&reading->log);
}

/* Whether passed at once, byte by byte or split in two at any place, the bytes yield this log. */
static void expect_log(struct kv_slice bytes, struct kv_slice log)
{
    for (size_t cut = 0; cut <= bytes.len; cut++) {
        struct reading reading;
        begin(&reading);
        give(&reading, (struct kv_slice){bytes.bytes, cut});
        for (size_t i = 0; cut == 0 && i < bytes.len; i++)
            give(&reading, (struct kv_slice){bytes.bytes + i, 1});
        if (cut != 0)
            give(&reading, (struct kv_slice){bytes.bytes + cut, bytes.len - cut});
        if (!kv_slice_equals(kv_buffer_slice(&reading.log), log))
            fail_msg("cut at %zu, expected\n%.*sgot\n%.*s", cut, (int)log.len, log.bytes,
                     (int)reading.log.len, reading.log.bytes);
        end(&reading);
    }
}

static void expect_frames(struct kv_buffer *frames, const char *log)
{
    expect_log(kv_buffer_slice(frames), kv_slice_of(log));
    kv_buffer_fini(frames);
}

static void expect_frame(uint8_t first, struct kv_slice payload, const char *log)
{
    struct kv_buffer frames = {0};
    append_frame(&frames, first, payload);
    expect_frames(&frames, log);
}

/* ---- the rules ---- */

static void messages_and_control_frames_are_read(void **state)
{
    (void)state;
    struct kv_buffer frames = {0};
    append_frame(&frames, FINAL_TEXT, KV_SLICE("text \xc3\xa4"));
    append_frame(&frames, FINAL_BINARY, KV_SLICE("\xff"));
    append_frame(&frames, FINAL_PING, KV_SLICE("hello"));
    append_frame(&frames, FINAL_PONG, KV_SLICE(""));
    append_frame(&frames, FINAL_TEXT, KV_SLICE(""));
    append_frame(&frames, FINAL_CLOSE, KV_SLICE("\x03\xe8why"));
    expect_frames(&frames, "1 text \xc3\xa4\n2 \xff\n9 hello\na \n1 \n8 \x03\xe8why\n");
}

static void message_in_one_piece_is_read_in_place(void **state)
{
    (void)state;
    struct kv_buffer frame = {0};
    struct kv_frame_reader reader;
    struct kv_frame_piece piece;
    size_t used;
    append_frame(&frame, FINAL_TEXT, KV_SLICE("in place"));
    kv_frame_reader_init(&reader, LIMIT);
    assert_int_equal(kv_frame_read(&reader, frame.bytes, frame.len, &used, &piece), 1);
    assert_int_equal(used, frame.len);
    assert_ptr_equal(piece.bytes.bytes, frame.bytes + 6);
    assert_true(piece.is_first && piece.is_last);
    assert_memory_equal(piece.bytes.bytes, "in place", 8);
    kv_buffer_fini(&frame);
}

static void payloads_of_every_short_length_are_unmasked(void **state)
{
    (void)state;
    char text[200], log[210];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 26);
    for (size_t len = 0; len <= sizeof(text); len++) {
        snprintf(log, sizeof(log), "1 %.*s\n", (int)len, text);
        expect_frame(FINAL_TEXT, (struct kv_slice){text, len}, log);
    }
}

/* Passed whole: splitting these at every place would take long. */
static void lengths_of_each_form_are_read(void **state)
{
    (void)state;
    static const size_t lens[] = {125, 126, 127, 65535, 65536, 65537, LIMIT};
    for (size_t i = 0; i < N(lens); i++) {
        struct kv_buffer frame = {0};
        struct reading reading;
        char *payload = calloc(1, lens[i]);
        append_frame(&frame, FINAL_BINARY, (struct kv_slice){payload, lens[i]});
        begin(&reading);
        give(&reading, kv_buffer_slice(&frame));
        assert_int_equal(reading.log.len, 2 + lens[i] + 1);
        assert_memory_equal(reading.log.bytes + 2, payload, lens[i]);
        end(&reading);
        kv_buffer_fini(&frame);
        free(payload);
    }
}

static void message_may_come_in_fragments_with_control_frames_between(void **state)
{
    (void)state;
    struct kv_buffer frames = {0};
    append_frame(&frames, KV_FRAME_TEXT, KV_SLICE("one "));
    append_frame(&frames, FINAL_PING, KV_SLICE("ping"));
    append_frame(&frames, KV_FRAME_CONTINUATION, KV_SLICE(""));
    append_frame(&frames, KV_FRAME_CONTINUATION, KV_SLICE("two "));
    append_frame(&frames, FINAL_PONG, KV_SLICE("pong"));
    append_frame(&frames, FINAL_CONTINUATION, KV_SLICE("three"));
    append_frame(&frames, KV_FRAME_BINARY, KV_SLICE(""));
    append_frame(&frames, FINAL_CONTINUATION, KV_SLICE(""));
    append_frame(&frames, FINAL_TEXT, KV_SLICE("next"));
    expect_frames(&frames, "9 ping\na pong\n1 one two three\n2 \n1 next\n");
}

static void frames_out_of_place_are_faults(void **state)
{
    (void)state;
    struct kv_buffer frames = {0};
    expect_frame(FINAL_CONTINUATION, KV_SLICE("x"), "fault 1002\n");
    append_frame(&frames, KV_FRAME_TEXT, KV_SLICE("x"));
    append_frame(&frames, FINAL_TEXT, KV_SLICE("y"));
    expect_frames(&frames, "fault 1002\n");
    append_frame(&frames, FINAL_TEXT, KV_SLICE("x"));
    append_frame(&frames, FINAL_CONTINUATION, KV_SLICE("y"));
    expect_frames(&frames, "1 x\nfault 1002\n");
}

static void reserved_bits_and_opcodes_are_faults(void **state)
{
    (void)state;
    static const uint8_t known[] = {0x0, 0x1, 0x2, 0x8, 0x9, 0xa};
    for (unsigned first = 0; first < 256; first++) {
        bool is_right = (first & 0x70) == 0 && memchr(known, (int)first & 0xf, N(known)) != NULL;
        struct kv_buffer frame = {0};
        struct reading reading;
        append_frame(&frame, (uint8_t)first, KV_SLICE("\x03\xe8"));
        begin(&reading);
        give(&reading, (struct kv_slice){frame.bytes, 2});
        /* A continuation has nothing to continue, and control frames cannot be fragmented. */
        is_right = is_right && (first & 0xf) != 0 && (first >= 0x80 || first < 0x8);
        assert_int_equal(reading.reader.fault, is_right ? 0 : 1002);
        end(&reading);
        kv_buffer_fini(&frame);
    }
}

static void first_reserved_bit_is_valid_only_for_compressible_messages(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        unsigned opcode = first & 0xf;
        bool is_message = opcode == 0x1 || opcode == 0x2;
        bool is_right = (first & 0x30) == 0 &&
                        (is_message || ((first & 0xf0) == 0x80 && opcode >= 0x8 && opcode <= 0xa));
        struct kv_buffer frame = {0};
        struct reading reading;
        append_frame(&frame, (uint8_t)first, KV_SLICE("\x03\xe8"));
        begin(&reading);
        reading.reader.takes_deflated = true;
        give(&reading, (struct kv_slice){frame.bytes, 2});
        assert_int_equal(reading.reader.fault, is_right ? 0 : 1002);
        end(&reading);
        kv_buffer_fini(&frame);
    }
}

static void all_pieces_of_a_compressed_message_are_marked(void **state)
{
    static const struct {
        uint8_t first;
        bool is_deflated;
    } sent[] = {{0x41, true},  {0x89, false}, {0x00, true}, {0x80, true},
                {0x01, false}, {0x80, false}, {0xc1, true}, {0x81, false}};
    struct kv_frame_reader reader;
    (void)state;
    kv_frame_reader_init(&reader, 100);
    reader.takes_deflated = true;
    for (size_t i = 0; i < N(sent); i++) {
        struct kv_buffer frame = {0};
        struct kv_frame_piece piece;
        size_t used;
        append_frame(&frame, sent[i].first, i == 0 ? KV_SLICE("\xc3(") : KV_SLICE("ab"));
        assert_int_equal(kv_frame_read(&reader, frame.bytes, frame.len, &used, &piece), 1);
        assert_int_equal(used, frame.len);
        assert_int_equal(piece.is_deflated, sent[i].is_deflated);
        kv_buffer_fini(&frame);
    }
}

static void frame_without_a_mask_is_a_fault_at_its_second_byte(void **state)
{
    (void)state;
    expect_log(KV_SLICE("\x81\x02{}"), KV_SLICE("fault 1002\n"));
    expect_log(KV_SLICE("\x89\x00"), KV_SLICE("fault 1002\n"));
    expect_log(KV_SLICE("\x81\x7f"), KV_SLICE("fault 1002\n"));
}

static void long_or_fragmented_control_frame_is_a_fault(void **state)
{
    (void)state;
    char payload[126] = {0};
    expect_frame(FINAL_PING, (struct kv_slice){payload, 126}, "fault 1002\n");
    expect_frame(KV_FRAME_PING, KV_SLICE("x"), "fault 1002\n");
    expect_frame(KV_FRAME_CLOSE, KV_SLICE("\x03\xe8"), "fault 1002\n");
}

static void length_in_a_longer_form_than_needed_is_a_fault(void **state)
{
    (void)state;
    expect_log(KV_SLICE("\x82\xfe\0\x7d\1\2\3\4"), KV_SLICE("fault 1002\n"));
    expect_log(KV_SLICE("\x82\xff\0\0\0\0\0\0\xff\xff\1\2\3\4"), KV_SLICE("fault 1002\n"));
    expect_log(KV_SLICE("\x82\xff\x80\0\0\0\0\1\0\0\1\2\3\4"), KV_SLICE("fault 1002\n"));
}

static void message_beyond_the_limit_is_a_fault_when_announced(void **state)
{
    (void)state;
    struct kv_buffer frames = {0};
    append_header(&frames, FINAL_TEXT, LIMIT + 1);
    expect_frames(&frames, "fault 1009\n");
    expect_log(KV_SLICE("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\1\2\3\4"),
               KV_SLICE("fault 1009\n"));
    append_frame(&frames, KV_FRAME_TEXT, KV_SLICE("x"));
    append_frame(&frames, FINAL_PING, KV_SLICE("not counted"));
    append_header(&frames, FINAL_CONTINUATION, LIMIT);
    expect_frames(&frames, "9 not counted\nfault 1009\n");
}

static void limit_applies_to_each_message(void **state)
{
    (void)state;
    struct reading reading;
    struct kv_buffer frames = {0};
    begin(&reading);
    reading.reader.max_message_bytes = 3;
    for (int i = 0; i < 3; i++) {
        append_frame(&frames, KV_FRAME_TEXT, KV_SLICE("ab"));
        append_frame(&frames, FINAL_CONTINUATION, KV_SLICE("c"));
    }
    give(&reading, kv_buffer_slice(&frames));
    assert_true(kv_slice_equals(kv_buffer_slice(&reading.log), KV_SLICE("1 abc\n1 abc\n1 abc\n")));
    end(&reading);
    kv_buffer_fini(&frames);
}

static void lower_limit_within_a_message_applies_at_once(void **state)
{
    (void)state;
    struct reading reading;
    struct kv_buffer frames = {0};
    begin(&reading);
    append_frame(&frames, KV_FRAME_TEXT, KV_SLICE("abcd"));
    give(&reading, kv_buffer_slice(&frames));
    reading.reader.max_message_bytes = 3;
    frames.len = 0;
    append_header(&frames, FINAL_CONTINUATION, LIMIT);
    give(&reading, kv_buffer_slice(&frames));
    assert_true(kv_slice_equals(kv_buffer_slice(&reading.log), KV_SLICE("fault 1009\n")));
    end(&reading);
    kv_buffer_fini(&frames);
}

static void character_may_be_split_by_fragments(void **state)
{
    (void)state;
    struct kv_slice character = KV_SLICE("\xf0\x9f\x98\x80");
    struct kv_buffer frames = {0};
    append_frame(&frames, KV_FRAME_TEXT, KV_SLICE("<"));
    for (size_t i = 0; i < character.len; i++)
        append_frame(&frames, KV_FRAME_CONTINUATION, (struct kv_slice){character.bytes + i, 1});
    append_frame(&frames, FINAL_CONTINUATION, KV_SLICE(">"));
    expect_frames(&frames, "1 <\xf0\x9f\x98\x80>\n");
}

static void invalid_utf8_is_a_fault_however_it_is_split(void **state)
{
    (void)state;
    static const struct kv_slice texts[] = {
        KV_SLICE("\xff"),         KV_SLICE("12345678\xc3("),    KV_SLICE("\xc0\x80"),
        KV_SLICE("\xed\xa0\x80"), KV_SLICE("\xf4\x90\x80\x80"), KV_SLICE("it ends within \xe2\x82"),
    };
    for (size_t i = 0; i < N(texts); i++) {
        expect_frame(FINAL_TEXT, texts[i], "fault 1007\n");
        for (size_t cut = 0; cut <= texts[i].len; cut++) {
            struct kv_buffer frames = {0};
            append_frame(&frames, KV_FRAME_TEXT, (struct kv_slice){texts[i].bytes, cut});
            append_frame(&frames, FINAL_CONTINUATION,
                         (struct kv_slice){texts[i].bytes + cut, texts[i].len - cut});
            expect_frames(&frames, "fault 1007\n");
        }
    }
}

static void invalid_utf8_is_a_fault_before_its_message_ends(void **state)
{
    (void)state;
    struct kv_buffer frames = {0};
    append_frame(&frames, KV_FRAME_TEXT, KV_SLICE("\xf4"));
    append_frame(&frames, KV_FRAME_CONTINUATION, KV_SLICE("\x90"));
    expect_frames(&frames, "fault 1007\n");
}

static void close_codes_are_checked_against_the_registry(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 65536; code++) {
        bool is_right =
            (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
            (code >= 3000 && code < 5000);
        char payload[2] = {(char)(code >> 8), (char)code};
        struct kv_buffer frame = {0};
        struct reading reading;
        append_frame(&frame, FINAL_CLOSE, (struct kv_slice){payload, 2});
        begin(&reading);
        give(&reading, kv_buffer_slice(&frame));
        if (reading.reader.fault != (is_right ? 0 : 1002))
            fail_msg("close code %u", code);
        end(&reading);
        kv_buffer_fini(&frame);
    }
}

static void close_may_lack_a_code_but_not_half_of_one(void **state)
{
    (void)state;
    expect_frame(FINAL_CLOSE, KV_SLICE(""), "8 \n");
    expect_frame(FINAL_CLOSE, KV_SLICE("\x03"), "fault 1002\n");
    assert_int_equal(kv_frame_close_code(KV_SLICE("")), KV_CLOSE_NONE);
    assert_int_equal(kv_frame_close_code(KV_SLICE("\x03\xe8why")), 1000);
}

static void close_reason_is_checked_whole_however_it_is_split(void **state)
{
    (void)state;
    expect_frame(FINAL_CLOSE, KV_SLICE("\x03\xe8 \xe2\x82\xac"), "8 \x03\xe8 \xe2\x82\xac\n");
    expect_frame(FINAL_CLOSE, KV_SLICE("\x03\xe8 \xe2\x82"), "fault 1007\n");
    expect_frame(FINAL_CLOSE, KV_SLICE("\x03\xe8\xff"), "fault 1007\n");
}

static void nothing_is_read_after_a_fault(void **state)
{
    (void)state;
    struct kv_frame_reader reader;
    struct kv_frame_piece piece;
    size_t used;
    char broken[] = "\xff\xff", right[] = "\x81\x80\1\2\3\4";
    kv_frame_reader_init(&reader, LIMIT);
    assert_int_equal(kv_frame_read(&reader, broken, 2, &used, &piece), -1);
    assert_int_equal(kv_frame_read(&reader, right, 6, &used, &piece), -1);
    assert_int_equal(reader.fault, KV_CLOSE_PROTOCOL_ERROR);
}

static void headers_are_written_in_the_shortest_form(void **state)
{
    (void)state;
    static const struct {
        uint64_t len;
        struct kv_slice header;
    } headers[] = {
        {0, KV_SLICE("\x81\x00")},
        {125, KV_SLICE("\x81\x7d")},
        {126, KV_SLICE("\x81\x7e\x00\x7e")},
        {65535, KV_SLICE("\x81\x7e\xff\xff")},
        {65536, KV_SLICE("\x81\x7f\0\0\0\0\0\1\0\0")},
    };
    char at[KV_FRAME_LONGEST_HEADER];
    for (size_t i = 0; i < N(headers); i++) {
        size_t len = (size_t)(kv_frame_write_header(at, KV_FRAME_TEXT, headers[i].len) - at);
        assert_int_equal(len, headers[i].header.len);
        assert_memory_equal(at, headers[i].header.bytes, len);
    }
}

/* ---- a simple reader, and random input ---- */

struct plain {
    const unsigned char *bytes;
    size_t len, at;
    struct kv_buffer message;
    unsigned opcode; /* of the current message */
    bool is_under_way;
};

/* Whether the text is a prefix of valid UTF-8: all continuations are tried. */
static bool may_go_on(struct kv_slice text)
{
    size_t valid = kv_utf8_valid_len(text), rest = text.len - valid;
    char whole[4] = {0};
    if (rest == 0 || rest > 3)
        return rest == 0;
    memcpy(whole, text.bytes + valid, rest);
    for (unsigned next = 0x80; next <= 0xbf; next++) {
        memset(whole + rest, 0x80, sizeof(whole) - rest);
        whole[rest] = (char)next;
        for (size_t len = rest + 1; len <= sizeof(whole); len++)
            if (kv_utf8_is_valid((struct kv_slice){whole, len}))
                return true;
    }
    return false;
}

struct plain_frame {
    bool is_final, is_control, is_whole;
    unsigned opcode;
    size_t header; /* with the mask */
    uint64_t len;
    struct kv_buffer payload; /* the available part */
};

enum {
    ENOUGH = 1 /* no fault: the input ends, or the peer has closed */
};

/* Returns: the fault, ENOUGH, or 0. */
static unsigned plain_read_header(const struct plain *plain, struct plain_frame *frame)
{
    const unsigned char *from = plain->bytes + plain->at;
    size_t left = plain->len - plain->at, size = 2;
    if (left < 2)
        return ENOUGH;
    uint64_t len = from[1] & 0x7f, least = 0;
    *frame = (struct plain_frame){.is_final = from[0] >= 0x80, .opcode = from[0] & 0xf};
    frame->is_control = frame->opcode >= 8;
    if ((from[0] & 0x70) != 0 || from[1] < 0x80 || (frame->opcode > 2 && frame->opcode < 8) ||
        frame->opcode > 10)
        return 1002;
    if (frame->is_control ? !frame->is_final || len > 125
                          : (frame->opcode == 0) != plain->is_under_way)
        return 1002;
    size_t n_more = len < 126 ? 0 : len == 126 ? 2 : 8;
    if (left < size + n_more + 4)
        return ENOUGH;
    if (n_more != 0) {
        least = n_more == 2 ? 126 : 65536;
        for (len = 0; n_more > 0; n_more--)
            len = len << 8 | from[size++];
    }
    frame->header = size + 4;
    frame->len = len;
    if (len < least || len >> 63 != 0)
        return 1002;
    return !frame->is_control && len + plain->message.len > LIMIT ? 1009 : 0;
}

static void plain_read_payload(struct plain *plain, struct plain_frame *frame)
{
    const unsigned char *from = plain->bytes + plain->at + frame->header;
    size_t left = plain->len - plain->at - frame->header;
    frame->is_whole = left >= frame->len;
    for (size_t i = 0; i < (frame->is_whole ? frame->len : left); i++)
        kv_buffer_append_char(&frame->payload, (char)(from[i] ^ (from - 4)[i % 4]));
    plain->at += frame->header + frame->payload.len;
}

static unsigned plain_judge_close(struct kv_slice payload)
{
    unsigned code = kv_frame_close_code(payload);
    bool is_known = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                    (code >= 3000 && code <= 4999);
    if (payload.len == 0)
        return 0;
    if (payload.len == 1 || !is_known)
        return 1002;
    return kv_utf8_is_valid((struct kv_slice){payload.bytes + 2, payload.len - 2}) ? 0 : 1007;
}

static unsigned plain_take_control(const struct plain_frame *frame, struct kv_buffer *log)
{
    struct kv_slice payload = kv_buffer_slice(&frame->payload);
    unsigned fault = frame->opcode == KV_FRAME_CLOSE ? plain_judge_close(payload) : 0;
    if (!frame->is_whole)
        return ENOUGH;
    if (fault != 0)
        return fault;
    note(log, frame->opcode, payload);
    return frame->opcode == KV_FRAME_CLOSE ? ENOUGH : 0;
}

static unsigned plain_take_part(struct plain *plain, const struct plain_frame *frame,
                                struct kv_buffer *log)
{
    bool is_done = frame->is_final && frame->is_whole;
    plain->opcode = frame->opcode != 0 ? frame->opcode : plain->opcode;
    plain->is_under_way = !frame->is_final;
    kv_buffer_append(&plain->message, kv_buffer_slice(&frame->payload));
    struct kv_slice text = kv_buffer_slice(&plain->message);
    if (plain->opcode == KV_FRAME_TEXT && !(is_done ? kv_utf8_is_valid(text) : may_go_on(text)))
        return 1007;
    if (is_done) {
        note(log, plain->opcode, text);
        plain->message.len = 0;
    }
    return frame->is_whole ? 0 : ENOUGH;
}

/* Returns: the fault, ENOUGH, or 0. */
static unsigned plain_read_frame(struct plain *plain, struct kv_buffer *log)
{
    struct plain_frame frame;
    unsigned fault = plain_read_header(plain, &frame);
    if (fault != 0)
        return fault;
    plain_read_payload(plain, &frame);
    fault =
        frame.is_control ? plain_take_control(&frame, log) : plain_take_part(plain, &frame, log);
    kv_buffer_fini(&frame.payload);
    return fault;
}

static struct kv_buffer plain_read(struct kv_slice bytes)
{
    struct plain plain = {.bytes = (const unsigned char *)bytes.bytes, .len = bytes.len};
    struct kv_buffer log = {0};
    unsigned fault;
    while ((fault = plain_read_frame(&plain, &log)) == 0)
        continue;
    if (fault != ENOUGH)
        note_fault(&log, fault);
    kv_buffer_fini(&plain.message);
    return log;
}

static uint32_t draw(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)*seed * below >> 32);
}

/* Mostly valid frames, some with a changed byte. Text is ASCII or whole characters: the reader
 * detects invalid UTF-8 earlier than the simple one, which has tests of its own. */
static struct kv_buffer random_frames(uint32_t *seed)
{
    struct kv_buffer out = {0};
    bool is_under_way = false;
    for (uint32_t n = draw(seed, 12); n > 0; n--) {
        char payload[300];
        bool is_control = draw(seed, 4) == 0;
        size_t len = draw(seed, is_control ? 125 : sizeof(payload));
        memset(payload, 'a' + (int)draw(seed, 26), sizeof(payload));
        bool is_final = is_control || draw(seed, 2) == 0;
        unsigned opcode = is_control ? 9 + draw(seed, 2) : is_under_way ? 0 : 1 + draw(seed, 2);
        is_under_way = is_control ? is_under_way : !is_final;
        append_frame(&out, (uint8_t)((is_final ? FINAL : 0) | opcode),
                     (struct kv_slice){payload, len});
        if (draw(seed, 30) == 0)
            out.bytes[out.len - len - 6] ^= (char)(1 << draw(seed, 8));
    }
    return out;
}

static void random_frames_in_random_chunks_match_the_simple_reader(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        struct kv_buffer frames = random_frames(&seed);
        struct kv_buffer expected = plain_read(kv_buffer_slice(&frames));
        struct reading reading;
        begin(&reading);
        for (size_t at = 0; at < frames.len;) {
            size_t len = 1 + draw(&seed, draw(&seed, 2) == 0 ? 20 : 600);
            len = len < frames.len - at ? len : frames.len - at;
            give(&reading, (struct kv_slice){frames.bytes + at, len});
            at += len;
        }
        if (!kv_slice_equals(kv_buffer_slice(&reading.log), kv_buffer_slice(&expected)))
            fail_msg("round %d, expected\n%.*s\ngot\n%.*s", round, (int)expected.len,
                     expected.bytes, (int)reading.log.len, reading.log.bytes);
        end(&reading);
        kv_buffer_fini(&expected);
        kv_buffer_fini(&frames);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_and_control_frames_are_read),
        cmocka_unit_test(message_in_one_piece_is_read_in_place),
        cmocka_unit_test(payloads_of_every_short_length_are_unmasked),
        cmocka_unit_test(lengths_of_each_form_are_read),
        cmocka_unit_test(message_may_come_in_fragments_with_control_frames_between),
        cmocka_unit_test(frames_out_of_place_are_faults),
        cmocka_unit_test(reserved_bits_and_opcodes_are_faults),
        cmocka_unit_test(first_reserved_bit_is_valid_only_for_compressible_messages),
        cmocka_unit_test(all_pieces_of_a_compressed_message_are_marked),
        cmocka_unit_test(frame_without_a_mask_is_a_fault_at_its_second_byte),
        cmocka_unit_test(long_or_fragmented_control_frame_is_a_fault),
        cmocka_unit_test(length_in_a_longer_form_than_needed_is_a_fault),
        cmocka_unit_test(message_beyond_the_limit_is_a_fault_when_announced),
        cmocka_unit_test(limit_applies_to_each_message),
        cmocka_unit_test(lower_limit_within_a_message_applies_at_once),
        cmocka_unit_test(character_may_be_split_by_fragments),
        cmocka_unit_test(invalid_utf8_is_a_fault_however_it_is_split),
        cmocka_unit_test(invalid_utf8_is_a_fault_before_its_message_ends),
        cmocka_unit_test(close_codes_are_checked_against_the_registry),
        cmocka_unit_test(close_may_lack_a_code_but_not_half_of_one),
        cmocka_unit_test(close_reason_is_checked_whole_however_it_is_split),
        cmocka_unit_test(nothing_is_read_after_a_fault),
        cmocka_unit_test(headers_are_written_in_the_shortest_form),
        cmocka_unit_test(random_frames_in_random_chunks_match_the_simple_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
