/* The queue of what a connection has still to send: order, and what it counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/mem.h"
#include "ws/outbound.h"

static struct kv_outbound out;

static int set_up(void **state)
{
    (void)state;
    kv_outbound_init(&out);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kv_outbound_fini(&out);
    return 0;
}

/* A frame of a text that is too long to be copied. Its bytes: a header of four, and the text. */
static void append_long_frame(char letter)
{
    static const struct kv_item nothing = {0};
    char text[2000];
    memset(text, letter, sizeof(text));
    struct kv_slice head = {text, sizeof(text)};
    struct kv_shared_frame *frame = kv_shared_frame_create(NULL, head, &nothing, KV_SLICE(""));
    kv_outbound_append_shared(&out, frame);
    kv_shared_frame_unref(frame);
}

/* Takes everything, write by write. */
static struct kv_buffer take_all(void)
{
    struct kv_buffer taken = {0};
    struct iovec iovecs[KV_OUTBOUND_IOVECS];
    size_t n;
    while ((n = kv_outbound_next(&out, iovecs)) != 0) {
        for (size_t i = 0; i < n; i++)
            kv_buffer_append(&taken, (struct kv_slice){iovecs[i].iov_base, iovecs[i].iov_len});
        kv_outbound_written(&out);
    }
    return taken;
}

static void what_is_appended_comes_out_in_order(void **state)
{
    (void)state;
    kv_outbound_append_text(&out, KV_SLICE("one"));
    append_long_frame('2');
    kv_outbound_append_text(&out, KV_SLICE("three"));
    kv_outbound_append_control(&out, KV_FRAME_PONG, KV_SLICE("four"));
    kv_outbound_append_close(&out, 1001, KV_SLICE("five"));
    kv_outbound_append_close(&out, KV_CLOSE_NONE, KV_SLICE(""));
    struct kv_buffer taken = take_all();
    struct kv_slice bytes = kv_buffer_slice(&taken);
    assert_int_equal(bytes.len, 5 + 2004 + 7 + 6 + 8 + 2);
    assert_memory_equal(bytes.bytes,
                        "\x81\x03one\x81\x7e\x07\xd0"
                        "22",
                        11);
    assert_memory_equal(bytes.bytes + 5 + 2004,
                        "\x81\x05three\x8a\x04"
                        "four\x88\x06\x03\xe9"
                        "five\x88\x00",
                        7 + 6 + 8 + 2);
    assert_int_equal(out.bytes, 0);
    kv_buffer_fini(&taken);
}

static void what_comes_while_a_write_is_under_way_is_written_next(void **state)
{
    struct iovec iovecs[KV_OUTBOUND_IOVECS];
    (void)state;
    kv_outbound_append_text(&out, KV_SLICE("one"));
    assert_int_equal(kv_outbound_next(&out, iovecs), 1);
    kv_outbound_append_text(&out, KV_SLICE("two"));
    assert_int_equal(iovecs[0].iov_len, 5);
    assert_int_equal(kv_outbound_next(&out, iovecs), 0);
    kv_outbound_written(&out);
    struct kv_buffer taken = take_all();
    assert_int_equal(taken.len, 5);
    assert_memory_equal(taken.bytes, "\x81\x03two", 5);
    kv_buffer_fini(&taken);
}

static void drop_keeps_what_is_in_flight_and_what_comes_after(void **state)
{
    struct iovec iovecs[KV_OUTBOUND_IOVECS];
    (void)state;
    append_long_frame('1');
    assert_int_equal(kv_outbound_next(&out, iovecs), 1);
    append_long_frame('2');
    kv_outbound_append_text(&out, KV_SLICE("dropped"));
    kv_outbound_drop(&out);
    kv_outbound_append_text(&out, KV_SLICE("kept"));
    kv_outbound_written(&out);
    struct kv_buffer taken = take_all();
    assert_int_equal(taken.len, 6);
    assert_memory_equal(taken.bytes, "\x81\x04kept", 6);
    assert_int_equal(out.bytes, 0);
    kv_buffer_fini(&taken);
}

static void bytes_count_the_memory_that_is_held(void **state)
{
    (void)state;
    size_t payload = 0;
    for (int i = 0; i < 1000; i++) {
        append_long_frame('l');
        kv_outbound_append_text(&out, KV_SLICE("short"));
        payload += 2004 + 7;
    }
    assert_true(out.bytes > payload);
    assert_true(out.bytes < payload + 1000 * 1024); /* no large chunk for each short message */
}

static void item_is_sent_between_head_and_tail(void **state)
{
    char value[2000];
    const struct kv_item small = {.value = KV_SLICE("12")}, large = {.value = {value, 2000}};
    (void)state;
    memset(value, '7', sizeof(value));
    kv_outbound_append_item(&out, NULL, KV_SLICE("<"), &small, KV_SLICE(">"));
    kv_outbound_append_item(&out, NULL, KV_SLICE("<"), &large, KV_SLICE(">"));
    struct kv_buffer taken = take_all();
    assert_int_equal(taken.len, 2 + 4 + 4 + 2002);
    assert_memory_equal(taken.bytes, "\x81\x04<12>\x81\x7e\x07\xd2<", 11);
    assert_memory_equal(taken.bytes + 11, value, sizeof(value));
    assert_int_equal(taken.bytes[taken.len - 1], '>');
    kv_buffer_fini(&taken);
}

static void writes_that_are_alike_have_one_piece_from_the_second_on(void **state)
{
    struct iovec iovecs[KV_OUTBOUND_IOVECS];
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++)
            kv_outbound_append_text(&out, KV_SLICE("some thirty bytes are a message"));
        size_t n = kv_outbound_next(&out, iovecs);
        assert_true(round == 0 ? n > 1 : n == 1);
        kv_outbound_written(&out);
        assert_int_equal(out.bytes, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_appended_comes_out_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_comes_while_a_write_is_under_way_is_written_next,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(drop_keeps_what_is_in_flight_and_what_comes_after, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(bytes_count_the_memory_that_is_held, set_up, tear_down),
        cmocka_unit_test_setup_teardown(item_is_sent_between_head_and_tail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writes_that_are_alike_have_one_piece_from_the_second_on,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
