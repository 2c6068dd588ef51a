/* The queue of a connection's outgoing data: its order, the memory it counts, and a socket that
 * accepts less than offered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "loop/evloop.h"
#include "net/outbound.h"

enum {
    LONG = 2000, /* too long to be copied */
    MOST_TURNS = 1000
};

static struct {
    struct kv_loop *loop;
    struct kv_chunks chunks;
    struct kv_outbound out;
    struct kv_channel channel;
    struct kv_traffic traffic;
    int peer;
    struct kv_buffer taken;
} rig;

static void on_written(void *user, enum kv_channel_event event)
{
    (void)user;
    assert_int_equal(event, KV_CHANNEL_READY);
    kv_outbound_written(&rig.out);
    kv_outbound_write(&rig.out, &rig.channel);
}

static int set_up(void **state)
{
    int ends[2];
    (void)state;
    rig.traffic = (struct kv_traffic){0};
    kv_outbound_init(&rig.out, &rig.chunks);
    rig.loop = kv_loop_create(0, &kv_clock_boot);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
        return -1;
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &(int){4096}, sizeof(int));
    kv_channel_init(&rig.channel, h2o_evloop_socket_create(kv_loop_evloop(rig.loop), ends[0], 0),
                    rig.loop, NULL, &rig.traffic);
    kv_channel_attach(&rig.channel, NULL, NULL, on_written);
    rig.peer = ends[1];
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    h2o_socket_close(rig.channel.sock);
    close(rig.peer);
    kv_outbound_fini(&rig.out);
    kv_chunks_fini(&rig.chunks);
    kv_buffer_fini(&rig.taken);
    kv_loop_destroy(rig.loop);
    return 0;
}

static bool write_out(void)
{
    return kv_outbound_write(&rig.out, &rig.channel);
}

static void append_long(char letter)
{
    char text[LONG];
    memset(text, letter, sizeof(text));
    struct kv_piece *piece = kv_piece_create(NULL, KV_SLICE(""), (struct kv_slice){text, LONG},
                                             KV_SLICE(""), KV_SLICE(""));
    kv_outbound_append_piece(&rig.out, piece);
    kv_piece_unref(piece);
}

/* The peer reads the available bytes. Returns: whether there were any. */
static bool read_some(void)
{
    ssize_t got = recv(rig.peer, kv_buffer_reserve(&rig.taken, 65536), 65536, 0);
    if (got > 0)
        rig.taken.len += (size_t)got;
    kv_loop_turn(rig.loop);
    return got > 0;
}

/* The peer reads until it has that many bytes. */
static void take(size_t len)
{
    for (int turns = 0; rig.taken.len < len; turns++) {
        assert_true(turns < MOST_TURNS);
        read_some();
    }
    assert_int_equal(rig.taken.len, len);
}

static void appended_data_is_sent_in_order(void **state)
{
    (void)state;
    kv_outbound_append(&rig.out, KV_SLICE("one"));
    append_long('2');
    kv_outbound_append(&rig.out, KV_SLICE("three"));
    memcpy(kv_outbound_reserve(&rig.out, 4), "four", 4);
    assert_true(write_out());
    assert_int_equal(rig.out.bytes, 0);
    take(3 + LONG + 9);
    assert_memory_equal(rig.taken.bytes, "one222", 6);
    assert_memory_equal(rig.taken.bytes + 3 + LONG, "threefour", 9);
}

static void data_the_socket_refuses_is_sent_when_there_is_room(void **state)
{
    enum {
        PIECES = 50
    };
    (void)state;
    for (int i = 0; i < PIECES; i++)
        append_long((char)('A' + i));
    assert_false(write_out());
    assert_true(rig.out.in_flight > 0);
    kv_outbound_append(&rig.out, KV_SLICE("meanwhile"));
    assert_false(write_out());
    take(PIECES * LONG + 9);
    assert_int_equal(kv_counter_read(&rig.traffic.sent), PIECES * LONG + 9);
    for (int i = 0; i < PIECES; i++)
        assert_int_equal(rig.taken.bytes[i * LONG + LONG / 2], 'A' + i);
    assert_memory_equal(rig.taken.bytes + PIECES * LONG, "meanwhile", 9);
    assert_int_equal(rig.out.bytes, 0);
}

static void drop_keeps_data_in_flight_and_later_data(void **state)
{
    (void)state;
    append_long('1');
    while (write_out())
        append_long('1');
    append_long('2');
    kv_outbound_append(&rig.out, KV_SLICE("dropped"));
    kv_outbound_drop(&rig.out);
    kv_outbound_append(&rig.out, KV_SLICE("kept"));
    while (rig.out.bytes != 0)
        read_some();
    while (read_some())
        continue;
    assert_memory_equal(rig.taken.bytes + rig.taken.len - 4, "kept", 4);
    assert_null(memchr(rig.taken.bytes, '2', rig.taken.len));
    assert_null(memmem(rig.taken.bytes, rig.taken.len, "dropped", 7));
    assert_int_equal(rig.out.bytes, 0);
}

static void bytes_count_the_memory_held(void **state)
{
    enum {
        TIMES = 1000
    };
    (void)state;
    for (int i = 0; i < TIMES; i++) {
        append_long('l');
        kv_outbound_append(&rig.out, KV_SLICE("short"));
    }
    assert_true(rig.out.bytes > TIMES * (LONG + 5));
    /* no large chunk for each short text */
    assert_true(rig.out.bytes < TIMES * (LONG + 5 + 1024));
}

static void similar_writes_use_one_piece_from_the_second_on(void **state)
{
    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++)
            kv_outbound_append(&rig.out, KV_SLICE("some thirty bytes are a message"));
        assert_true((rig.out.nodes.head->next == NULL) == (round > 0));
        while (!write_out() || read_some())
            continue;
        assert_int_equal(rig.out.bytes, 0);
    }
}

/* len: of the text in each of many queues. */
static void use_chunks_again(size_t len)
{
    enum {
        QUEUES = 1000
    };
    static struct kv_outbound queues[QUEUES];
    static const char text[4096];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < QUEUES; i++) {
            kv_outbound_init(&queues[i], &rig.chunks);
            kv_outbound_append(&queues[i], (struct kv_slice){text, len});
        }
        assert_int_equal(rig.chunks.bytes, 0);
        for (int i = 0; i < QUEUES; i++)
            kv_outbound_fini(&queues[i]);
        assert_in_range(rig.chunks.bytes, 64 << 10, QUEUES * len / 2);
    }
}

static void chunks_are_reused_up_to_a_limit(void **state)
{
    (void)state;
    use_chunks_again(600);
    kv_chunks_fini(&rig.chunks);
    assert_int_equal(rig.chunks.bytes, 0);
    use_chunks_again(3000);
}

static void most_recently_used_chunk_is_reused_first(void **state)
{
    static const char text[1500];
    (void)state;
    kv_outbound_append(&rig.out, (struct kv_slice){text, sizeof(text)});
    const struct kv_link *chunk = rig.out.nodes.head;
    kv_outbound_fini(&rig.out);
    kv_outbound_append(&rig.out, (struct kv_slice){text, sizeof(text) - 1});
    assert_ptr_equal(rig.out.nodes.head, chunk);
}

static struct kv_piece *piece_of(char letter, size_t len)
{
    char text[LONG];
    memset(text, letter, len);
    return kv_piece_create(NULL, (struct kv_slice){text, len}, KV_SLICE(""), KV_SLICE(""),
                           KV_SLICE(""));
}

static void a_deferred_piece_delays_the_data_behind_it(void **state)
{
    struct kv_piece *original = piece_of('o', LONG);
    struct kv_piece *deferred = kv_piece_defer(original);
    (void)state;
    kv_outbound_append(&rig.out, KV_SLICE("before"));
    kv_outbound_append_piece(&rig.out, deferred);
    kv_outbound_append(&rig.out, KV_SLICE("behind"));
    size_t counted = rig.out.bytes;
    assert_true(counted > LONG);
    assert_true(write_out());
    take(6);
    assert_true(kv_outbound_waits(&rig.out));
    assert_true(rig.out.bytes > LONG);
    kv_piece_settle(deferred, piece_of('s', 100));
    assert_true(write_out());
    take(6 + 100 + 6);
    assert_memory_equal(rig.taken.bytes, "beforesss", 9);
    assert_memory_equal(rig.taken.bytes + 105, "sbehind", 7);
    assert_false(kv_outbound_waits(&rig.out));
    assert_int_equal(rig.out.bytes, 0);
    kv_outbound_append_piece(&rig.out, deferred); /* as settled */
    kv_piece_unref(deferred);
    kv_piece_unref(original);
    assert_true(write_out());
    take(6 + 100 + 6 + 100);
}

static void a_deferred_piece_may_be_settled_as_it_was(void **state)
{
    struct kv_piece *original = piece_of('o', LONG);
    struct kv_piece *deferred = kv_piece_defer(original);
    (void)state;
    kv_outbound_append_piece(&rig.out, deferred);
    kv_piece_unref(original);
    assert_true(write_out());
    assert_true(kv_outbound_waits(&rig.out));
    kv_piece_settle(deferred, NULL);
    kv_piece_unref(deferred);
    assert_true(write_out());
    take(LONG);
    assert_int_equal(rig.out.bytes, 0);
}

static void dropped_deferred_piece_delays_nothing(void **state)
{
    struct kv_piece *original = piece_of('o', LONG);
    struct kv_piece *deferred = kv_piece_defer(original);
    (void)state;
    kv_outbound_append_piece(&rig.out, deferred);
    write_out();
    kv_outbound_drop(&rig.out);
    assert_false(kv_outbound_waits(&rig.out));
    kv_outbound_append(&rig.out, KV_SLICE("next"));
    assert_true(write_out());
    take(4);
    kv_piece_settle(deferred, NULL);
    kv_piece_unref(deferred);
    kv_piece_unref(original);
}

static void forms_of_a_piece_live_as_long_as_the_piece(void **state)
{
    struct kv_piece *piece = piece_of('p', LONG);
    struct kv_piece *form = piece_of('f', 10);
    (void)state;
    assert_null(kv_piece_form(piece, 0));
    kv_piece_set_form(piece, 0, kv_piece_ref(form));
    kv_piece_set_form(piece, 1, piece);
    assert_ptr_equal(kv_piece_form(piece, 0), form);
    assert_ptr_equal(kv_piece_form(piece, 1), piece);
    kv_piece_unref(form);
    kv_outbound_append_piece(&rig.out, kv_piece_form(piece, 0));
    kv_piece_unref(piece);
    assert_true(write_out());
    take(10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(appended_data_is_sent_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(data_the_socket_refuses_is_sent_when_there_is_room, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(drop_keeps_data_in_flight_and_later_data, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(bytes_count_the_memory_held, set_up, tear_down),
        cmocka_unit_test_setup_teardown(similar_writes_use_one_piece_from_the_second_on, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_deferred_piece_delays_the_data_behind_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_deferred_piece_may_be_settled_as_it_was, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(dropped_deferred_piece_delays_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(forms_of_a_piece_live_as_long_as_the_piece, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(chunks_are_reused_up_to_a_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(most_recently_used_chunk_is_reused_first, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
