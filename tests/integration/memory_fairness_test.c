/*
 * A well-behaved client beside a crowd for which the server uses all memory that `limits.memory`
 * allows: its long writes and reads are served soon, whatever the crowd does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crowd.h"

enum {
    PROBES = 60,      /* writes, and as many reads */
    LATEST_MS = 1000, /* of 99 in 100, */
    BUSY = 3,         /* on a machine that may be busy with so many other tests */
    ASKED = 20,       /* by each of the crowd */
    DISPERSED_MS = 30000,
};

/* The crowd has only the limits of memory to fear. */
static int group_start(void **state)
{
    return kv_test_group_start_with(state, CROWD_LIMITS
                                    "timeouts: {request_progress: 60s, stalled_reader: 60s}\n");
}

static int compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* While the crowd goes on, each value is overwritten, so that what the crowd has of it is in memory
 * for the crowd alone; and read. */
static void expect_service(struct crowd *crowd)
{
    int64_t took_ms[2 * PROBES];
    struct kv_test_response response = {0};
    struct kv_test_stream stream;
    char path[32];
    uint16_t port = crowd->server->port;
    char *value = crowd_make_value('v', MIB);
    kv_test_stream_open(&stream, port);
    for (int i = 0; i < PROBES; i++) {
        crowd_press(crowd);
        value[1] = (char)('a' + i % 26);
        took_ms[2 * i] = crowd_store_value(port, i % CROWD_VALUES, value);
        int64_t began_ms = kv_test_now_ms();
        crowd_path(i % CROWD_VALUES, path);
        assert_int_equal(kv_test_http_ask(&stream, "GET", path, NULL, NULL, &response), 200);
        took_ms[2 * i + 1] = kv_test_now_ms() - began_ms;
    }
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    free(value);
    qsort(took_ms, (size_t)2 * PROBES, sizeof(took_ms[0]), compare);
    print_message("p50 %lld ms, p99 %lld ms, at most %lld ms\n", (long long)took_ms[PROBES],
                  (long long)took_ms[2 * PROBES - 2], (long long)took_ms[2 * PROBES - 1]);
    assert_in_range(took_ms[2 * PROBES - 2], 0, LATEST_MS * BUSY);
}

/* ask: NULL, where the members have asked already. */
static void serve_beside(void **state, bool is_websocket,
                         void (*ask)(struct kv_test_ws *member, int which))
{
    crowd_needs_plain_memory();
    crowd_store_values(kv_test_port(state), 'a', MIB);
    struct crowd *crowd = crowd_gather(state, is_websocket);
    for (int i = 0; i < CROWD; i++)
        for (int k = 0; k < ASKED; k++)
            ask(&crowd->members[i], (i + k) % CROWD_VALUES);
    while (crowd_press(crowd)) {
    }
    expect_service(crowd);
    crowd_expect_bound(crowd);
    crowd_disperse(crowd, DISPERSED_MS);
}

static void ask_message(struct kv_test_ws *member, int which)
{
    for (int i = 0; i < 8; i++)
        kv_test_ws_put_text(member, "{\"type\":\"get\",\"payload\":{\"key\":\"long-%d\"}}",
                            (which + i * ASKED) % CROWD_VALUES);
}

static void client_is_served_beside_unread_messages(void **state)
{
    serve_beside(state, true, ask_message);
}

static void ask_pipeline(struct kv_test_ws *member, int which)
{
    char path[32];
    kv_test_http_write(&member->stream.out, "GET", kv_slice_of(crowd_path(which, path)), NULL,
                       (struct kv_slice){0});
}

static void client_is_served_beside_unread_pipelines(void **state)
{
    serve_beside(state, false, ask_pipeline);
}

static void ask_libh2o(struct kv_test_ws *member, int which)
{
    char path[32];
    kv_test_http_write(&member->stream.out, "GET", kv_slice_of(crowd_path(which, path)),
                       "Origin: http://localhost\r\n", (struct kv_slice){0});
}

static void client_is_served_beside_unread_answers_by_libh2o(void **state)
{
    serve_beside(state, false, ask_libh2o);
}

/* One request is a stream; what follows is thrown away. */
static void ask_events(struct kv_test_ws *member, int which)
{
    (void)which;
    if (member->stream.out.len == 0)
        kv_test_http_write(&member->stream.out, "GET",
                           KV_SLICE("/events?prefix=long-&initial=true"), NULL,
                           (struct kv_slice){0});
}

static void client_is_served_beside_unread_streams(void **state)
{
    serve_beside(state, false, ask_events);
}

static void ask_subscription(struct kv_test_ws *member, int which)
{
    kv_test_ws_put_text(member, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"long-%d\"}}",
                        which);
}

static void client_is_served_beside_unread_changes(void **state)
{
    serve_beside(state, true, ask_subscription);
}

/* A body of which half is sent. */
static void send_half(struct kv_test_ws *member, int which)
{
    struct kv_test_stream *stream = &member->stream;
    if (stream->out.len != 0)
        return;
    char *part = kv_test_letters(' ', (size_t)4 * MIB);
    char path[32];
    kv_buffer_printf(&stream->out,
                     "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n",
                     crowd_path(which, path), 8 * MIB);
    kv_test_stream_put(stream, kv_slice_of(part));
    free(part);
}

static void client_is_served_beside_bodies_that_do_not_end(void **state)
{
    serve_beside(state, false, send_half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_is_served_beside_unread_messages),
        cmocka_unit_test(client_is_served_beside_unread_pipelines),
        cmocka_unit_test(client_is_served_beside_unread_answers_by_libh2o),
        cmocka_unit_test(client_is_served_beside_unread_streams),
        cmocka_unit_test(client_is_served_beside_unread_changes),
        cmocka_unit_test(client_is_served_beside_bodies_that_do_not_end),
    };
    return cmocka_run_group_tests(tests, group_start, kv_test_group_stop);
}
