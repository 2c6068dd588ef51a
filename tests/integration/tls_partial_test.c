/*
 * Clients that send the beginning of a TLS record, or of a message of the handshake, and never the
 * rest: it counts as a request that is incomplete, in memory and in time, whatever the connection
 * is used for.
 */
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/tls.h"

enum {
    MEMORY = 4 << 20,
    MOST_OF_METRICS = 64 << 10, /* counted for the request that asks for the memory */
    CROWD_SIZE = 400,           /* their records take more than the memory */
    HEADER = 5,
    LONGEST = HEADER + 16640, /* a record */
    LONG_VALUE = 20 << 10,
    LATEST_MS = 10000, /* far beyond the time that the server waits, for machines that are busy */
};

#define LIMITS    "threads: 2\nlimits: {memory: 4MiB}\ntimeouts: {idle: 10m, request_progress: 10m}\n"
#define IMPATIENT "threads: 2\ntimeouts: {idle: 10m, request_progress: 1s, websocket_ping: 5m}\n"

static struct kv_test_server server;
static uint16_t port; /* of TLS; the server's own is in clear */

static int start_with(const char *more)
{
    port = kv_test_server_start_tls(&server, more);
    return 0;
}

static int start_with_little_memory(void **state)
{
    (void)state;
    return start_with(LIMITS);
}

static int start_impatient(void **state)
{
    (void)state;
    return start_with(IMPATIENT);
}

static int stop(void **state)
{
    (void)state;
    kv_test_server_stop_cleanly(&server);
    return 0;
}

/* ---- the uses of a connection ---- */

static void use_for_http(struct kv_test_ws *ws)
{
    struct kv_test_response response = {0};
    assert_int_equal(kv_test_http_ask(&ws->stream, "GET", "/healthz", NULL, NULL, &response), 200);
    kv_test_response_fini(&response);
}

static void await_text(struct kv_test_stream *stream, const char *text)
{
    for (;;) {
        struct kv_slice unread = kv_test_stream_unread(stream);
        if (unread.len != 0 && memmem(unread.bytes, unread.len, text, strlen(text)) != NULL)
            return;
        assert_true(kv_test_stream_await(stream, unread.len + 1));
    }
}

static void use_for_events(struct kv_test_ws *ws)
{
    kv_test_http_write(&ws->stream.out, "GET", KV_SLICE("/events?key=a"), NULL,
                       (struct kv_slice){0});
    await_text(&ws->stream, "retry: 1000\n\n");
}

static void expect_timeout(struct kv_test_ws *ws)
{
    struct kv_test_response response = {0};
    assert_true(kv_test_http_receive(&ws->stream, &response));
    assert_int_equal(response.status, 408);
    kv_test_response_fini(&response);
    kv_test_stream_await_end(&ws->stream);
}

static void expect_policy(struct kv_test_ws *ws)
{
    struct kv_test_frame frame;
    assert_true(kv_test_ws_receive(ws, &frame));
    assert_int_equal(frame.opcode, KV_TEST_WS_CLOSE);
    assert_int_equal(kv_test_ws_close_code(&frame), 1008);
}

static void expect_end(struct kv_test_ws *ws)
{
    kv_test_stream_await_end(&ws->stream);
}

static const struct use {
    void (*begin)(struct kv_test_ws *ws);
    void (*expect_end)(struct kv_test_ws *ws); /* for a record that has not arrived in time */
} http = {use_for_http, expect_timeout}, websocket = {kv_test_ws_upgrade, expect_policy},
  events = {use_for_events, expect_end};

static void open_for(const struct use *use, int version, struct kv_test_ws *ret)
{
    *ret = (struct kv_test_ws){.mask = 1};
    kv_test_stream_open_clear(&ret->stream, port);
    assert_true(
        kv_test_tls_connect(&ret->stream, &(struct kv_test_tls_options){.version = version}));
    use->begin(ret);
}

/* Its contents do not matter, as the record cannot be opened before it is whole. */
static void send_part(const struct kv_test_ws *ws, size_t len)
{
    static const char record[LONGEST] = {0x17, 3, 3, (LONGEST - HEADER) >> 8,
                                         (LONGEST - HEADER) & 0xff};
    assert_int_equal(send(ws->stream.fd, record, len, MSG_NOSIGNAL), len);
}

/* ---- memory ---- */

static size_t counted_memory(void)
{
    static const char name[] = "\nkvserver_connection_memory_bytes ";
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open_clear(&stream, server.port);
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/metrics", NULL, NULL, &response), 200);
    kv_buffer_append_char(&response.body, '\0');
    const char *at = strstr(response.body.bytes, name);
    assert_non_null(at);
    size_t bytes = strtoul(at + strlen(name), NULL, 10);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    return bytes;
}

static void await_memory_within_limit(void)
{
    int64_t end_ms = kv_test_now_ms() + LATEST_MS;
    while (counted_memory() > MEMORY + MOST_OF_METRICS) {
        assert_true(kv_test_now_ms() < end_ms);
        kv_test_sleep_ms(20);
    }
}

/* Returns: the status. */
static int store_long_value(struct kv_slice value)
{
    struct kv_test_ws honest;
    struct kv_test_response response = {0};
    open_for(&http, 0, &honest);
    kv_test_http_exchange(&honest.stream, "PUT", KV_SLICE("/storage/honest"), NULL, value,
                          &response);
    int status = response.status;
    kv_test_response_fini(&response);
    kv_test_stream_close(&honest.stream);
    return status;
}

/* While all memory is used, it may be refused for a moment. */
static void await_service(void)
{
    int64_t end_ms = kv_test_now_ms() + LATEST_MS;
    char *digits = kv_test_letters('7', LONG_VALUE);
    struct kv_buffer value = {0};
    int status;
    kv_buffer_printf(&value, "{\"value\":\"%s\"}", digits);
    while ((status = store_long_value(kv_buffer_slice(&value))) != 202) {
        assert_int_equal(status, 503);
        assert_true(kv_test_now_ms() < end_ms);
        kv_test_sleep_ms(20);
    }
    kv_buffer_fini(&value);
    free(digits);
}

static void crowd_stays_within_the_limit(const struct use *use, int version)
{
    static struct kv_test_ws crowd[CROWD_SIZE];
    for (size_t i = 0; i < CROWD_SIZE; i++) {
        open_for(use, version, &crowd[i]);
        send_part(&crowd[i], LONGEST - 1);
    }
    await_memory_within_limit();
    await_service();
    for (size_t i = 0; i < CROWD_SIZE; i++)
        kv_test_stream_close(&crowd[i].stream);
}

static void parts_of_records_over_http_stay_within_the_limit(void **state)
{
    (void)state;
    crowd_stays_within_the_limit(&http, TLS1_3_VERSION);
}

static void parts_of_records_of_event_streams_stay_within_the_limit(void **state)
{
    (void)state;
    crowd_stays_within_the_limit(&events, TLS1_3_VERSION);
}

static void parts_of_records_of_tls_1_2_stay_within_the_limit(void **state)
{
    (void)state;
    crowd_stays_within_the_limit(&events, TLS1_2_VERSION);
}

static size_t count_ended(struct kv_test_stream streams[], size_t n)
{
    size_t n_ended = 0;
    for (size_t i = 0; i < n; i++) {
        struct kv_test_stream *one = &streams[i];
        kv_test_stream_turn(&one, 1, 0);
        n_ended += one->is_ended;
    }
    return n_ended;
}

/* Each client sends these bytes of a handshake, for which the server needs that much memory. */
static void crowd_of_handshakes_stays_within_the_limit(struct kv_slice bytes, size_t memory)
{
    static struct kv_test_stream crowd[CROWD_SIZE];
    int64_t end_ms = kv_test_now_ms() + LATEST_MS;
    for (size_t i = 0; i < CROWD_SIZE; i++) {
        kv_test_stream_open_clear(&crowd[i], port);
        assert_int_equal(send(crowd[i].fd, bytes.bytes, bytes.len, MSG_NOSIGNAL), bytes.len);
    }
    while (count_ended(crowd, CROWD_SIZE) < CROWD_SIZE - MEMORY / memory) {
        assert_true(kv_test_now_ms() < end_ms);
        kv_test_sleep_ms(20);
    }
    await_memory_within_limit();
    await_service();
    for (size_t i = 0; i < CROWD_SIZE; i++)
        kv_test_stream_close(&crowd[i]);
}

static void parts_of_records_of_handshakes_stay_within_the_limit(void **state)
{
    static const char bytes[] = {0x16, 3, 1, 0x40, 0, 1, 2, 0, 0, 3, 3}; /* a record of 16 KiB */
    (void)state;
    crowd_of_handshakes_stays_within_the_limit((struct kv_slice){bytes, sizeof(bytes)}, 40 << 10);
}

/* OpenSSL reserves memory for the whole message. */
static void announced_messages_of_handshakes_stay_within_the_limit(void **state)
{
    static const char bytes[] = {0x16, 3, 1, 0, 6, 1, 2, 0, 0, 3, 3}; /* a message of 128 KiB */
    (void)state;
    crowd_of_handshakes_stays_within_the_limit((struct kv_slice){bytes, sizeof(bytes)}, 128 << 10);
}

/* The record does not reach to the length of the message. */
static void unknown_messages_of_handshakes_stay_within_the_limit(void **state)
{
    static const char bytes[] = {0x16, 3, 1, 0, 1, 1, 0x16, 3, 1, 0, 3, 2, 0, 0};
    (void)state;
    crowd_of_handshakes_stays_within_the_limit((struct kv_slice){bytes, sizeof(bytes)}, 128 << 10);
}

/* ---- time ---- */

static void connection_ends_if_the_rest_of_a_record_does_not_arrive(void **state)
{
    static const struct {
        const struct use *use;
        int version;
        size_t len;
    } cases[] = {
        {&http, TLS1_3_VERSION, 100},      {&http, TLS1_2_VERSION, 100},
        {&events, TLS1_3_VERSION, 100},    {&events, TLS1_2_VERSION, 100},
        {&websocket, TLS1_3_VERSION, 100}, {&websocket, TLS1_2_VERSION, 100},
        {&events, TLS1_3_VERSION, 1},      {&events, TLS1_2_VERSION, 1},
        {&events, TLS1_3_VERSION, HEADER}, {&events, TLS1_2_VERSION, HEADER},
    };
    enum {
        N = sizeof(cases) / sizeof(cases[0])
    };
    static struct kv_test_ws ws[N];
    (void)state;
    for (size_t i = 0; i < N; i++) {
        open_for(cases[i].use, cases[i].version, &ws[i]);
        send_part(&ws[i], cases[i].len);
    }
    int64_t began_ms = kv_test_now_ms();
    for (size_t i = 0; i < N; i++)
        cases[i].use->expect_end(&ws[i]);
    assert_true(kv_test_now_ms() - began_ms < LATEST_MS);
    for (size_t i = 0; i < N; i++)
        kv_test_stream_close(&ws[i].stream);
}

/* They are silent while others end. */
static void connections_with_whole_records_are_kept(void **state)
{
    static const struct use *const uses[] = {&http, &events, &websocket};
    enum {
        N = sizeof(uses) / sizeof(uses[0])
    };
    struct kv_test_ws kept[2 * N], late;
    (void)state;
    for (size_t i = 0; i < 2 * N; i++)
        open_for(uses[i % N], i < N ? TLS1_3_VERSION : TLS1_2_VERSION, &kept[i]);
    for (int round = 0; round < 2; round++) {
        open_for(&events, TLS1_3_VERSION, &late);
        send_part(&late, 100);
        expect_end(&late);
        kv_test_stream_close(&late.stream);
    }
    kv_test_store(server.port, "a", "\"news\"");
    for (size_t i = 0; i < 2 * N; i++) {
        if (uses[i % N] == &http)
            use_for_http(&kept[i]);
        else if (uses[i % N] == &events)
            await_text(&kept[i].stream, "news");
        else
            kv_test_ws_expect_nothing(&kept[i]);
        kv_test_stream_close(&kept[i].stream);
    }
}

#define WITH_LITTLE_MEMORY(test)                                                                   \
    cmocka_unit_test_setup_teardown(test, start_with_little_memory, stop)
#define IMPATIENTLY(test) cmocka_unit_test_setup_teardown(test, start_impatient, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LITTLE_MEMORY(parts_of_records_over_http_stay_within_the_limit),
        WITH_LITTLE_MEMORY(parts_of_records_of_event_streams_stay_within_the_limit),
        WITH_LITTLE_MEMORY(parts_of_records_of_tls_1_2_stay_within_the_limit),
        WITH_LITTLE_MEMORY(parts_of_records_of_handshakes_stay_within_the_limit),
        WITH_LITTLE_MEMORY(announced_messages_of_handshakes_stay_within_the_limit),
        WITH_LITTLE_MEMORY(unknown_messages_of_handshakes_stay_within_the_limit),
        IMPATIENTLY(connection_ends_if_the_rest_of_a_record_does_not_arrive),
        IMPATIENTLY(connections_with_whole_records_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
