/* SIGTERM: commands in progress are finished, connections end according to their protocol, the exit
 * code is 0. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

enum {
    PROMPTLY_MS = 5000 /* less than the drain's limit: nothing had to be cut off */
};

static void idle_server_ends_with_0(void **state)
{
    (void)state;
    struct kv_test_server server;
    kv_test_start(&server, "");
    kv_test_server_stop_cleanly(&server);
}

static void idle_connections_do_not_delay_the_end(void **state)
{
    (void)state;
    struct kv_test_server server;
    struct kv_test_stream fresh, used;
    struct kv_test_response response = {0};
    kv_test_start(&server, "");
    kv_test_stream_open(&fresh, server.port);
    kv_test_stream_open(&used, server.port);
    assert_int_equal(kv_test_http_ask(&used, "GET", "/healthz", NULL, NULL, &response), 200);
    int64_t began_ms = kv_test_now_ms();
    kv_test_server_terminate(&server);
    kv_test_stream_await_end(&fresh);
    kv_test_stream_await_end(&used);
    kv_test_server_stop_cleanly(&server);
    assert_true(kv_test_now_ms() - began_ms < PROMPTLY_MS);
    kv_test_response_fini(&response);
    kv_test_stream_close(&fresh);
    kv_test_stream_close(&used);
}

static void websockets_are_closed_with_1001(void **state)
{
    (void)state;
    enum {
        SOCKETS = 8
    };
    struct kv_test_server server;
    struct kv_test_ws all[SOCKETS];
    kv_test_start(&server, "");
    for (int i = 0; i < SOCKETS; i++) {
        kv_test_ws_open(&all[i], server.port);
        kv_test_ws_send_text(&all[i], "{\"type\":\"subscribe\",\"payload\":{\"key\":\"k\"}}");
        kv_test_ws_expect_nothing(&all[i]);
    }
    int64_t began_ms = kv_test_now_ms();
    kv_test_server_terminate(&server);
    for (int i = 0; i < SOCKETS; i++) {
        kv_test_ws_expect_closed(&all[i], 1001);
        kv_test_ws_close(&all[i]);
    }
    kv_test_server_stop_cleanly(&server);
    assert_true(kv_test_now_ms() - began_ms < PROMPTLY_MS);
}

static void response_in_progress_is_finished(void **state)
{
    (void)state;
    enum {
        LARGE = 8 << 20 /* more than the kernel takes for a client that does not read */
    };
    struct kv_test_server server;
    struct kv_test_stream slow;
    struct kv_test_response response = {0};
    char *value = kv_test_letters('r', LARGE);
    value[0] = '"';
    value[LARGE - 1] = '"';
    kv_test_start(&server, "timeouts: {drain: 60s}\n");
    kv_test_store(server.port, "large", value);
    kv_test_stream_open_narrow(&slow, server.port, 16 * 1024);
    kv_test_stream_put(&slow, KV_SLICE("GET /storage/large HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    kv_test_stream_flush(&slow);
    assert_true(kv_test_stream_await(&slow, 1));
    kv_test_server_terminate(&server);
    kv_test_await_log(&server, "received SIGTERM, shutting down");
    assert_true(kv_test_http_receive(&slow, &response));
    assert_int_equal(response.status, 200);
    assert_true(kv_test_is_value_body(kv_buffer_slice(&response.body), kv_slice_of(value)));
    kv_test_server_stop_cleanly(&server);
    kv_test_response_fini(&response);
    kv_test_stream_close(&slow);
    free(value);
}

/* A server whose store takes up to a second for each answer. Only the late store does. */
static void start_slow(struct kv_test_server *server, bool has_front)
{
    struct kv_buffer yaml = {0};
    kv_buffer_printf(&yaml,
                     "listen: [{port: %%port}]\nmodules: %s\nhttp: {front: %s}\n"
                     "storage: {module: late, late: {delay: 1s}}\n",
                     getenv("KV_TEST_MODULES"), has_front ? "true" : "false");
    kv_buffer_append_char(&yaml, '\0');
    kv_test_server_start(server, yaml.bytes);
    kv_buffer_fini(&yaml);
}

static bool is_late(void)
{
    const char *store = getenv("KV_TEST_STORE");
    return store != NULL && strcmp(store, "late") == 0;
}

static void last_answer_announces_the_close(void **state)
{
    static const char get[] = "GET /storage/k HTTP/1.1\r\nHost: localhost\r\n\r\n";
    (void)state;
    if (!is_late())
        skip(); /* nothing would be under way */
    for (int has_front = 0; has_front < 2; has_front++) {
        struct kv_test_server server;
        struct kv_test_stream stream;
        struct kv_test_response response = {0};
        start_slow(&server, has_front);
        kv_test_stream_open(&stream, server.port);
        for (int i = 0; i < 3; i++)
            kv_test_stream_put(&stream, kv_slice_of(get));
        kv_test_stream_await_read(&stream);
        kv_test_server_terminate(&server);
        int n_answers = 0;
        bool is_last = false;
        for (; kv_test_http_receive(&stream, &response); n_answers++) {
            assert_int_equal(response.status, 204);
            assert_false(is_last);
            is_last = strcmp(kv_test_response_header(&response, "connection"), "close") == 0;
        }
        /* libh2o takes one at a time; all may have been answered before the drain begins */
        assert_true(has_front ? n_answers == 3 : n_answers >= 1);
        assert_true(is_last || n_answers == 3);
        kv_test_response_fini(&response);
        kv_test_stream_close(&stream);
        kv_test_server_stop_cleanly(&server);
    }
}

static void pending_websocket_answers_precede_the_close(void **state)
{
    (void)state;
    enum {
        GETS = 300
    };
    struct kv_test_server server;
    struct kv_test_ws ws;
    char *value = kv_test_letters('w', 64 * 1024);
    value[0] = '"';
    value[64 * 1024 - 1] = '"';
    kv_test_start(&server, "");
    kv_test_store(server.port, "k", value);
    kv_test_ws_open(&ws, server.port);
    for (int i = 0; i < GETS; i++)
        kv_test_ws_put_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"k\"}}");
    kv_test_stream_flush(&ws.stream);
    assert_true(kv_test_stream_await(&ws.stream, 1));
    kv_test_server_terminate(&server);
    struct kv_test_frame frame;
    int n_answers = 0;
    while (kv_test_ws_receive(&ws, &frame) && frame.opcode == KV_TEST_WS_TEXT)
        n_answers++;
    assert_int_equal(frame.opcode, KV_TEST_WS_CLOSE);
    assert_int_equal(kv_test_ws_close_code(&frame), 1001);
    assert_true(n_answers > 0);
    kv_test_ws_close(&ws);
    kv_test_server_stop_cleanly(&server);
    free(value);
}

static void new_connections_are_refused_while_draining(void **state)
{
    (void)state;
    struct kv_test_server server;
    struct kv_test_ws ws;
    struct kv_test_frame frame;
    kv_test_start(&server, "");
    kv_test_ws_open(&ws, server.port);
    kv_test_server_terminate(&server);
    assert_true(kv_test_ws_receive(&ws, &frame));
    assert_int_equal(frame.opcode, KV_TEST_WS_CLOSE);
    /* The close is not answered, so that the server is still draining. */
    struct kv_test_stream late;
    struct kv_test_response response = {0};
    if (kv_test_stream_try_open(&late, server.port)) {
        kv_test_stream_put(&late, KV_SLICE("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        kv_test_stream_flush(&late);
        if (kv_test_http_receive(&late, &response))
            assert_int_equal(response.status, 503);
        kv_test_stream_close(&late);
    }
    kv_test_response_fini(&response);
    kv_test_ws_close(&ws);
    kv_test_server_stop_cleanly(&server);
}

static void client_that_never_reads_is_cut_off_after_the_drain(void **state)
{
    (void)state;
    enum {
        LARGE = 8 << 20 /* more than the kernel takes for a client that does not read */
    };
    struct kv_test_server server;
    struct kv_test_stream stuck;
    char *value = kv_test_letters('s', LARGE);
    value[0] = '"';
    value[LARGE - 1] = '"';
    kv_test_start(&server, "timeouts: {drain: 300ms}\n");
    kv_test_store(server.port, "large", value);
    kv_test_stream_open_narrow(&stuck, server.port, 16 * 1024);
    kv_test_stream_put(&stuck, KV_SLICE("GET /storage/large HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    kv_test_stream_flush(&stuck);
    assert_true(kv_test_stream_await(&stuck, 1));
    int64_t began_ms = kv_test_now_ms();
    kv_test_server_stop_cleanly(&server);
    assert_true(kv_test_now_ms() - began_ms < PROMPTLY_MS);
    kv_test_stream_close(&stuck);
    free(value);
}

/* Sends a second signal once the server says what it waits for, which would be a minute. Returns:
 * when. */
static int64_t signal_twice(struct kv_test_server *server, const char *waited_for)
{
    char part[128];
    kv_test_server_terminate(server);
    snprintf(part, sizeof(part), "waiting%s", waited_for);
    kv_test_await_log(server, part);
    kv_test_await_log(server, "; signal again to stop now");
    int64_t began_ms = kv_test_now_ms();
    kv_test_server_terminate(server);
    return began_ms;
}

static void hurry(struct kv_test_server *server, const char *waited_for)
{
    int64_t began_ms = signal_twice(server, waited_for);
    kv_test_await_hurried_end(server);
    assert_true(kv_test_now_ms() - began_ms < PROMPTLY_MS);
}

static void second_signal_ends_the_wait_for_clients(void **state)
{
    (void)state;
    struct kv_test_server server;
    struct kv_test_ws one, other; /* which do not answer the close */
    kv_test_start(&server, "timeouts: {drain: 60s}\n");
    kv_test_ws_open(&one, server.port);
    kv_test_ws_open(&other, server.port);
    hurry(&server, " up to 60 s for 2 connections");
    kv_test_await_log(&server, "cutting off what did not end in time: 2 connections");
    kv_test_program_remove(&server.program);
    kv_test_ws_close(&one);
    kv_test_ws_close(&other);
}

/* Threads of the program that are stopped, as if each were at something long. */
struct held {
    pid_t threads[64];
    size_t n;
};

/*
 * A thread at work may have a lock, of the allocator for instance, that the end needs. Returns:
 * false if the thread has ended.
 */
static bool await_sleep(pid_t program, pid_t thread)
{
    int64_t until = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    for (;;) {
        char state = kv_test_program_thread_state(program, thread);
        if (state == 'S' || state == 'X')
            return state == 'S';
        assert_true(kv_test_now_ms() < until);
        sched_yield();
    }
}

/* Returns: false if that is not allowed. A thread that has ended needs no holding. */
static bool hold(struct held *held, pid_t program, pid_t thread)
{
    assert_true(held->n < sizeof(held->threads) / sizeof(held->threads[0]));
    if (!await_sleep(program, thread))
        return true;
    if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) != 0)
        return errno == ESRCH;
    assert_int_equal(ptrace(PTRACE_INTERRUPT, thread, NULL, NULL), 0);
    assert_int_equal(waitpid(thread, NULL, __WALL), thread);
    held->threads[held->n++] = thread;
    return true;
}

/* The main one, and the one that writes what that says. */
static bool is_of_the_end(pid_t program, pid_t thread)
{
    return thread == program || kv_test_program_thread_is(program, thread, "log");
}

/* All but those. */
static bool hold_loops(const struct kv_test_server *server, struct held *held)
{
    char path[64];
    bool is_held = true;
    snprintf(path, sizeof(path), "/proc/%d/task", server->program.pid);
    DIR *threads = opendir(path);
    assert_non_null(threads);
    for (struct dirent *entry; is_held && (entry = readdir(threads)) != NULL;) {
        pid_t thread = atoi(entry->d_name);
        is_held = thread == 0 || is_of_the_end(server->program.pid, thread) ||
                  hold(held, server->program.pid, thread);
    }
    closedir(threads);
    return is_held;
}

/* Their end is told to who holds them; until then the program's is not. */
static void await_end(const struct held *held)
{
    int status;
    for (size_t i = 0; i < held->n; i++)
        do
            assert_int_equal(waitpid(held->threads[i], &status, __WALL), held->threads[i]);
        while (!WIFEXITED(status) && !WIFSIGNALED(status));
}

/* A loop that checks a body of 100 MB cannot hear of the end meanwhile. */
static void second_signal_ends_a_server_whose_loops_are_busy(void **state)
{
    struct kv_test_server server;
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    struct held held = {0};
    (void)state;
    kv_test_start(&server, "timeouts: {drain: 60s}\n");
    kv_test_stream_open(&stream, server.port);
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/healthz", NULL, NULL, &response), 200);
    kv_test_response_fini(&response);
    /* Which may be before a loop has seen the end of the connection that asked for readiness. */
    if (!hold_loops(&server, &held)) {
        kv_test_server_kill(&server);
        kv_test_skip_for("this machine lets no program stop a thread of another");
    }
    signal_twice(&server, " up to 60 s for ");
    await_end(&held);
    assert_int_equal(kv_test_program_wait(&server.program, KV_TEST_LIMIT_MS),
                     kv_test_has_durable_store() ? 1 : 0);
    kv_test_await_log(&server, "unfinished: ");
    kv_test_program_remove(&server.program);
    kv_test_stream_close(&stream);
}

/* The peer has been answered, and may still send what is then thrown away. */
static void wait_for_a_refused_peer_is_logged(void **state)
{
    struct kv_test_server server;
    struct kv_test_stream stream;
    (void)state;
    kv_test_start(&server, "timeouts: {drain: 60s}\n");
    kv_test_stream_open(&stream, server.port);
    kv_test_stream_put(&stream, KV_SLICE("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"));
    kv_test_stream_flush(&stream);
    assert_true(kv_test_stream_await(&stream, 1));
    hurry(&server, " up to 60 s for 1 half-closed connection");
    kv_test_program_remove(&server.program);
    kv_test_stream_close(&stream);
}

static void second_signal_ends_the_wait_for_a_store_that_closes_slowly(void **state)
{
    (void)state;
    struct kv_test_server server;
    struct kv_buffer yaml = {0};
    if (!is_late())
        skip(); /* the others cannot be told to be slow */
    kv_buffer_printf(&yaml,
                     "listen: [{port: %%port}]\nmodules: %s\n"
                     "storage: {module: late, late: {close_delay: 60s}}\n",
                     getenv("KV_TEST_MODULES"));
    kv_buffer_append_char(&yaml, '\0');
    kv_test_server_start(&server, yaml.bytes);
    hurry(&server, " for store/late to close");
    kv_test_program_remove(&server.program);
    kv_buffer_fini(&yaml);
}

static void writers_are_cut_off_between_messages(void **state)
{
    (void)state;
    struct kv_test_server server;
    struct kv_test_ws ws;
    struct kv_test_frame frame;
    kv_test_start(&server, "");
    kv_test_ws_open(&ws, server.port);
    for (int i = 0; i < 20000; i++)
        kv_test_ws_put_text(
            &ws, "{\"type\":\"set\",\"id\":%d,\"payload\":{\"key\":\"k\",\"value\":%d}}", i, i);
    struct kv_test_stream *stream = &ws.stream;
    assert_true(kv_test_stream_turn(&stream, 1, KV_TEST_LIMIT_MS));
    kv_test_server_terminate(&server);
    int n_oks = 0;
    while (kv_test_ws_receive(&ws, &frame) && frame.opcode == KV_TEST_WS_TEXT) {
        char id[16];
        uint64_t revision;
        snprintf(id, sizeof(id), "%d", n_oks++);
        assert_true(kv_test_ws_is_ok(frame.payload, id, "\"k\"", &revision) ||
                    kv_slice_has_prefix(frame.payload, KV_SLICE("{\"type\":\"error\"")));
    }
    kv_test_ws_close(&ws);
    kv_test_server_stop_cleanly(&server);
}

/* They are all there, and so is the signal, when the server wakes. */
static void connections_opened_with_the_signal_end_with_the_server(void **state)
{
    enum {
        ROUNDS = 5,
        COMING = 16
    };
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct kv_test_server server;
        struct kv_test_stream streams[COMING];
        kv_test_start(&server, "");
        kv_test_program_stop(&server.program);
        for (int i = 0; i < COMING; i++)
            kv_test_stream_open_clear(&streams[i], server.port);
        kv_test_server_terminate(&server);
        kv_test_program_go_on(&server.program);
        for (int i = 0; i < COMING; i++)
            kv_test_stream_await_end(&streams[i]);
        kv_test_server_stop_cleanly(&server);
        for (int i = 0; i < COMING; i++)
            kv_test_stream_close(&streams[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_server_ends_with_0),
        cmocka_unit_test(idle_connections_do_not_delay_the_end),
        cmocka_unit_test(websockets_are_closed_with_1001),
        cmocka_unit_test(response_in_progress_is_finished),
        cmocka_unit_test(last_answer_announces_the_close),
        cmocka_unit_test(pending_websocket_answers_precede_the_close),
        cmocka_unit_test(new_connections_are_refused_while_draining),
        cmocka_unit_test(client_that_never_reads_is_cut_off_after_the_drain),
        cmocka_unit_test(second_signal_ends_the_wait_for_clients),
        cmocka_unit_test(second_signal_ends_a_server_whose_loops_are_busy),
        cmocka_unit_test(wait_for_a_refused_peer_is_logged),
        cmocka_unit_test(second_signal_ends_the_wait_for_a_store_that_closes_slowly),
        cmocka_unit_test(writers_are_cut_off_between_messages),
        cmocka_unit_test(connections_opened_with_the_signal_end_with_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
