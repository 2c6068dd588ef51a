/* A server that runs out of descriptors serves the connections that it has, and refuses others
 * without spinning until there is room. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

enum {
    CONNECTIONS = 60,
    ROOM = 20, /* descriptors beyond those that the idle server has */
    WATCHED_MS = 500,
};

static void ask(struct kv_test_stream *stream)
{
    struct kv_test_response response = {0};
    assert_int_equal(kv_test_http_ask(stream, "GET", "/healthz", NULL, NULL, &response), 200);
    kv_test_response_fini(&response);
}

/* The server says that there are too many connections. */
static void expect_refusal_in(struct kv_test_stream *stream, struct kv_test_response *response)
{
    assert_int_equal(response->status, 503);
    assert_string_equal(kv_test_response_header(response, "connection"), "close");
    assert_string_equal(kv_test_response_header(response, "retry-after"), "1");
    kv_test_stream_await_end(stream);
    kv_test_response_fini(response);
}

/* It says so before anything was asked. */
static void expect_refusal(struct kv_test_stream *stream)
{
    struct kv_test_response response = {0};
    assert_true(kv_test_http_receive(stream, &response));
    expect_refusal_in(stream, &response);
}

/* Every connection is answered: served, or refused. Returns: whether it was served. */
static bool is_served(struct kv_test_stream *stream)
{
    struct kv_test_response response = {0};
    if (kv_test_http_ask(stream, "GET", "/healthz", NULL, NULL, &response) != 200) {
        expect_refusal_in(stream, &response);
        return false;
    }
    kv_test_response_fini(&response);
    return true;
}

static void await_service(uint16_t port)
{
    int64_t deadline_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    bool has_room = false;
    while (!has_room && kv_test_now_ms() < deadline_ms) {
        struct kv_test_stream stream;
        kv_test_stream_open(&stream, port);
        has_room = is_served(&stream);
        kv_test_stream_close(&stream);
    }
    assert_true(has_room);
}

/* The system distributes connections over the loops, and the first loops to run get the
 * descriptors, for early connections or late ones. */
static void server_without_descriptors_refuses_without_spinning_and_continues(void **state)
{
    static struct kv_test_stream streams[CONNECTIONS];
    struct kv_test_server server;
    const struct kv_test_program *program = &server.program;
    int n_served = 0;
    (void)state;
    kv_test_start(&server, "");
    rlim_t most = kv_test_program_descriptors(program) + ROOM;
    assert_int_equal(prlimit(program->pid, RLIMIT_NOFILE, &(struct rlimit){most, most}, NULL), 0);
    kv_test_stream_open(&streams[0], server.port);
    ask(&streams[0]); /* the server has it before there are others */
    for (int i = 1; i < CONNECTIONS; i++)
        kv_test_stream_open(&streams[i], server.port); /* the system takes them for the server */
    int64_t before = kv_test_program_processor_ms(program);
    kv_test_sleep_ms(WATCHED_MS);
    int64_t used = kv_test_program_processor_ms(program) - before;
    print_message("%jd ms of processor time in %d ms\n", (intmax_t)used, WATCHED_MS);
    assert_true(used < WATCHED_MS / 4);
    for (int i = 0; i < CONNECTIONS; i++)
        n_served += is_served(&streams[i]);
    print_message("%d of %d connections were served\n", n_served, CONNECTIONS);
    assert_in_range(n_served, ROOM / 2, 2 * ROOM);
    ask(&streams[0]);
    for (int i = 0; i < CONNECTIONS; i++)
        kv_test_stream_close(&streams[i]);
    await_service(server.port);
    kv_test_server_stop_cleanly(&server);
}

/* Sends more than may be under way while writes are held back, so that the rest is not read. */
static void open_unread(struct kv_test_ws *ws, uint16_t port)
{
    kv_test_ws_open(ws, port);
    for (int i = 0; i < 100; i++)
        kv_test_ws_put_text(ws, "{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":%d}}", i);
    kv_test_stream_flush(&ws->stream);
}

static void reset(struct kv_test_ws *ws)
{
    const struct linger at_once = {.l_onoff = 1};
    assert_int_equal(setsockopt(ws->stream.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)),
                     0);
    kv_test_ws_close(ws);
}

static void clients_that_leave_while_unread_are_noticed(void **state)
{
    enum {
        CLIENTS = 20,
        OTHERS = 10 /* descriptors, of the sink */
    };
    static struct kv_test_ws clients[CLIENTS];
    struct kv_test_server server;
    (void)state;
    kv_test_start(&server, "limits: {pending_per_connection: 16}\n"
                           "timeouts: {websocket_ping: 1h, idle: 1h}\n"
                           "sinks: [{module: webhook, options: {url: 'http://127.0.0.1:1/'},\n"
                           "         queue: {events: 1}, when_full: block_writes}]\n");
    size_t before = kv_test_program_descriptors(&server.program);
    for (int i = 0; i < CLIENTS; i++)
        open_unread(&clients[i], server.port);
    for (int i = 0; i < 5; i++)
        assert_int_equal(kv_test_http_status(server.port, "GET", "/healthz", NULL, NULL), 200);
    for (int i = 0; i < CLIENTS; i++)
        reset(&clients[i]);
    int64_t deadline_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    while (kv_test_program_descriptors(&server.program) > before + OTHERS) {
        assert_true(kv_test_now_ms() < deadline_ms);
        kv_test_sleep_ms(20);
    }
    kv_test_server_kill(&server);
}

/* A process cannot raise a lowered hard limit again, so these tests are last, the largest first. */
static void start_with_descriptors(struct kv_test_server *server, rlim_t most, const char *yaml)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){most / 2, most}), 0);
    kv_test_start(server, yaml);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){most, most}), 0);
}

/* It would have warned before that line. */
static void expect_no_warning(const struct kv_test_server *server)
{
    kv_test_await_log(server, "listening on");
    char *log = kv_test_server_log(server);
    assert_null(strstr(log, "warn"));
    free(log);
}

/* Those that have ended, and those that are refused, while their peers stay. */
static void connections_leave_descriptors_to_the_store(void **state)
{
    enum {
        DESCRIPTORS = 256,
        RESERVED = DESCRIPTORS / 4,
        CLIENTS = DESCRIPTORS - 16 /* those of the test have the same limit */
    };
    static struct kv_test_stream streams[CLIENTS];
    struct kv_test_server server;
    size_t most = 0;
    (void)state;
    start_with_descriptors(&server, DESCRIPTORS, "");
    size_t idle = kv_test_program_descriptors(&server.program);
    for (int i = 0; i < CLIENTS; i++) {
        kv_test_stream_open(&streams[i], server.port);
        if (i < DESCRIPTORS - RESERVED)
            ask(&streams[i]); /* the server has it before the next one */
        else
            expect_refusal(&streams[i]);
        size_t n = kv_test_program_descriptors(&server.program);
        most = n > most ? n : most;
    }
    print_message("%zu descriptors, at most %zu of %d\n", idle, most, DESCRIPTORS);
    assert_true(most <= idle + DESCRIPTORS - RESERVED + RESERVED / 2);
    for (int i = 0; i < CLIENTS; i++)
        kv_test_stream_close(&streams[i]);
    kv_test_server_stop_cleanly(&server);
}

static void default_limit_of_connections_follows_the_system_silently(void **state)
{
    enum {
        DESCRIPTORS = 128
    };
    static struct kv_test_stream streams[DESCRIPTORS];
    struct kv_test_server server;
    size_t n_served = 0, n_refused = 0;
    (void)state;
    start_with_descriptors(&server, 2 * DESCRIPTORS, "");
    expect_no_warning(&server);
    kv_test_server_stop_cleanly(&server);
    start_with_descriptors(&server, DESCRIPTORS, "");
    /* the client has no more descriptors than the server */
    for (; n_refused == 0 && n_served < DESCRIPTORS - 16; n_served++) {
        struct kv_test_response response = {0};
        kv_test_stream_open(&streams[n_served], server.port);
        kv_test_http_ask(&streams[n_served], "GET", "/healthz", NULL, NULL, &response);
        n_refused += response.status == 503;
        kv_test_response_fini(&response);
    }
    assert_int_equal(n_refused, 1);
    assert_true(n_served > DESCRIPTORS / 2); /* more than without raising the soft limit */
    for (size_t i = 0; i < n_served; i++)
        kv_test_stream_close(&streams[i]);
    kv_test_server_stop_cleanly(&server);
}

static void unattainable_limit_of_connections_causes_a_warning(void **state)
{
    struct kv_test_server server;
    (void)state;
    start_with_descriptors(&server, 128, "limits: {connections: 50}\n");
    expect_no_warning(&server);
    kv_test_server_stop_cleanly(&server);
    start_with_descriptors(&server, 128, "limits: {connections: 1000}\n");
    kv_test_await_log(&server, "warn  server: limits.connections is 1000");
    kv_test_server_stop_cleanly(&server);
}

/* A failed test leaves connections open, which would be too many for those after it. */
static int close_descriptors(void **state)
{
    (void)state;
    return close_range(STDERR_FILENO + 1, UINT_MAX, 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, close_descriptors)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(clients_that_leave_while_unread_are_noticed),
        TEST(server_without_descriptors_refuses_without_spinning_and_continues),
        TEST(connections_leave_descriptors_to_the_store),
        TEST(default_limit_of_connections_follows_the_system_silently),
        TEST(unattainable_limit_of_connections_causes_a_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
