/* Outgoing frames: headers with the length in its shortest form, and the payload after them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "loop/evloop.h"
#include "ws/frames.h"

enum {
    LONGEST_HEADER = 10,
    MOST_TURNS = 1000
};

static const struct {
    size_t len; /* of the message */
    struct kv_slice header;
} cases[] = {
    {0, {"\x81\x00", 2}},
    {125, {"\x81\x7d", 2}},
    {126, {"\x81\x7e\x00\x7e", 4}},
    {65535, {"\x81\x7e\xff\xff", 4}},
    {65536, {"\x81\x7f\0\0\0\0\0\x01\0\0", LONGEST_HEADER}},
};

static struct kv_chunks chunks;
static struct kv_outbound out;

static void on_written(void *user, enum kv_channel_event event)
{
    (void)user;
    assert_int_equal(event, KV_CHANNEL_READY);
    kv_outbound_written(&out);
}

/* The queue's content as received by the peer. Owns: the caller, by free(). */
static char *send_all(size_t whole)
{
    int ends[2];
    struct kv_loop *loop = kv_loop_create(0, &kv_clock_boot);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    struct kv_traffic traffic = {0};
    struct kv_channel channel = {.ops = &kv_channel_plain, .traffic = &traffic};
    channel.sock = h2o_evloop_socket_create(kv_loop_evloop(loop), ends[0], 0);
    kv_channel_attach(&channel, NULL, NULL, on_written);
    kv_outbound_write(&out, &channel);
    char *sent = kv_calloc(1, whole + 1);
    size_t n = 0;
    for (int turns = 0; n < whole; turns++) {
        assert_true(turns < MOST_TURNS);
        ssize_t got = recv(ends[1], sent + n, whole + 1 - n, 0);
        n += got > 0 ? (size_t)got : 0;
        kv_loop_turn(loop);
    }
    assert_int_equal(n, whole);
    h2o_socket_close(channel.sock);
    close(ends[1]);
    kv_loop_destroy(loop);
    return sent;
}

/* A header, and a message of one letter after it. */
static void assert_sent(struct kv_slice header, size_t message_len)
{
    char *sent = send_all(header.len + message_len);
    assert_memory_equal(sent, header.bytes, header.len);
    for (size_t i = header.len; i < header.len + message_len; i++)
        assert_int_equal(sent[i], 'm');
    free(sent);
}

static void a_message_has_a_header_of_its_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = kv_alloc(cases[i].len);
        memset(text, 'm', cases[i].len);
        kv_outbound_init(&out, &chunks);
        kv_frames_text(&out, (struct kv_slice){text, cases[i].len});
        assert_sent(cases[i].header, cases[i].len);
        kv_outbound_fini(&out);
        free(text);
    }
}

static void a_frame_has_a_header_of_all_its_parts(void **state)
{
    static const struct kv_item item = {.value = {"mm", 2}};
    (void)state;
    struct kv_piece *frame = kv_frames_shared(NULL, NULL, KV_SLICE("mmm"), &item, KV_SLICE("m"));
    kv_outbound_init(&out, &chunks);
    kv_outbound_append_piece(&out, frame);
    kv_piece_unref(frame);
    assert_sent(KV_SLICE("\x81\x06"), 6);
    kv_outbound_fini(&out);
}

static void the_text_of_a_piece_follows_its_header(void **state)
{
    static const size_t lens[] = {0, 125, 126, 65535, 65536};
    (void)state;
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct kv_slice parts[KV_PIECE_PARTS];
        char *value = kv_alloc(lens[i]);
        size_t len, n_bytes = 0;
        struct kv_slice none = {0};
        memset(value, 'm', lens[i]);
        struct kv_piece *frame =
            kv_frames_copied(NULL, none, (struct kv_slice){value, lens[i]}, none);
        size_t n = kv_frames_text_of(frame, parts, &len);
        for (size_t part = 0; part < n; part++)
            n_bytes += parts[part].len;
        assert_int_equal(len, lens[i]);
        assert_int_equal(n_bytes, lens[i]);
        assert_int_equal(kv_frames_text_len(frame), lens[i]);
        kv_piece_unref(frame);
        free(value);
    }
}

static void a_compressed_message_is_marked(void **state)
{
    char *long_text = kv_alloc(5000);
    (void)state;
    memset(long_text, 'm', 5000);
    kv_outbound_init(&out, &chunks);
    kv_frames_deflated(&out, KV_SLICE("mmm"));
    assert_sent(KV_SLICE("\xc1\x03"), 3);
    struct kv_piece *frame =
        kv_frames_shared_deflated(NULL, (struct kv_held){.bytes = {long_text, 5000}});
    free(long_text);
    kv_outbound_append_piece(&out, frame);
    kv_piece_unref(frame);
    assert_sent(KV_SLICE("\xc1\x7e\x13\x88"), 5000);
    kv_outbound_fini(&out);
}

static void control_frames_have_their_opcode_and_code(void **state)
{
    static const char expected[] = "\x8a\x04"
                                   "four\x88\x06\x03\xe9"
                                   "five\x88\x00";
    (void)state;
    kv_outbound_init(&out, &chunks);
    kv_frames_control(&out, KV_FRAME_PONG, KV_SLICE("four"));
    kv_frames_close(&out, KV_CLOSE_GOING_AWAY, KV_SLICE("five"));
    kv_frames_close(&out, KV_CLOSE_NONE, KV_SLICE(""));
    char *sent = send_all(sizeof(expected) - 1);
    assert_memory_equal(sent, expected, sizeof(expected) - 1);
    free(sent);
    kv_outbound_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_has_a_header_of_its_length),
        cmocka_unit_test(a_frame_has_a_header_of_all_its_parts),
        cmocka_unit_test(the_text_of_a_piece_follows_its_header),
        cmocka_unit_test(a_compressed_message_is_marked),
        cmocka_unit_test(control_frames_have_their_opcode_and_code),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    kv_chunks_fini(&chunks);
    return failed;
}
