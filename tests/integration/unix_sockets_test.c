/* A server that listens on a Unix socket: its service there, and the socket's file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

enum {
    LONG_VALUE = 4 << 20,
    SLOW_READS = 60,
    RIVAL_ROUNDS = 10,
};

/* more: of the address, after the path. Owns: the caller, by free(). */
static char *yaml_of(const char *path, const char *more)
{
    struct kv_buffer yaml = {0};
    kv_buffer_printf(&yaml,
                     "listen: [{port: %%port}, {unix: '%s'%s}]\nmodules: %s\n"
                     "timeouts: {stalled_reader: 500ms}\n",
                     path, more, getenv("KV_TEST_MODULES"));
    kv_buffer_append_char(&yaml, '\0');
    return yaml.bytes;
}

static void start(struct kv_test_server *server, const char *path, const char *more)
{
    char *yaml = yaml_of(path, more);
    kv_test_server_start(server, yaml);
    free(yaml);
}

/* A path that outlives the server's own folder. Owns: the caller, by remove_path(). */
static char *make_path(void)
{
    char folder[] = "/tmp/kvserver-test-XXXXXX";
    struct kv_buffer path = {0};
    assert_non_null(mkdtemp(folder));
    kv_buffer_printf(&path, "%s/socket", folder);
    kv_buffer_append_char(&path, '\0');
    return path.bytes;
}

static void remove_path(char *path)
{
    unlink(path);
    *strrchr(path, '/') = '\0';
    assert_int_equal(rmdir(path), 0);
    free(path);
}

static void open_stream(struct kv_test_stream *stream, const struct kv_test_server *server)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/socket", server->program.folder);
    kv_test_stream_open_unix(stream, path);
}

static mode_t mode_of(const struct kv_test_server *server)
{
    struct stat status;
    char path[128];
    snprintf(path, sizeof(path), "%s/socket", server->program.folder);
    assert_int_equal(stat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    return status.st_mode & 0777;
}

static void http_and_websocket_are_served(void **state)
{
    struct kv_test_server server;
    struct kv_test_ws ws = {0};
    struct kv_test_response response = {0};
    (void)state;
    start(&server, "%folder/socket", "");
    open_stream(&ws.stream, &server);
    ws.mask = 1;
    ws.n_fences = 0;
    kv_test_http_ask(&ws.stream, "POST", "/storage/k", NULL, "{\"value\":[1]}", &response);
    assert_int_equal(response.status, 202);
    kv_test_expect_value(server.port, "k", "[1]");
    kv_test_ws_upgrade(&ws);
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"k\"}}");
    kv_test_ws_expect_nothing(&ws);
    kv_test_store(server.port, "k", "2");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"k\",\"value\":2}}");
    kv_test_ws_close(&ws);
    kv_test_response_fini(&response);
    kv_test_server_stop_cleanly(&server);
}

static int status_for_host(struct kv_test_stream *stream, const char *host)
{
    struct kv_test_response response = {0};
    struct kv_buffer request = {0};
    kv_buffer_printf(&request, "GET /storage/k HTTP/1.1\r\nHost: %s\r\n\r\n", host);
    kv_test_stream_put(stream, kv_buffer_slice(&request));
    kv_test_stream_flush(stream);
    assert_true(kv_test_http_receive(stream, &response));
    int status = response.status;
    kv_buffer_fini(&request);
    kv_test_response_fini(&response);
    return status;
}

static void requests_for_every_host_are_served_only_on_the_socket(void **state)
{
    struct kv_test_server server;
    struct kv_test_stream by_path, by_port;
    (void)state;
    start(&server, "%folder/socket", "");
    open_stream(&by_path, &server);
    kv_test_stream_open(&by_port, server.port);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(status_for_host(&by_path, "kv.example"), 204);
        assert_int_equal(status_for_host(&by_port, "kv.example"), 403);
    }
    kv_test_stream_close(&by_path);
    kv_test_stream_close(&by_port);
    kv_test_server_stop_cleanly(&server);
}

static void mode_of_the_socket_is_as_configured(void **state)
{
    struct kv_test_server server;
    (void)state;
    start(&server, "%folder/socket", "");
    assert_int_equal(mode_of(&server), 0660);
    kv_test_server_stop_cleanly(&server);
    start(&server, "%folder/socket", ", mode: '0606'");
    assert_int_equal(mode_of(&server), 0606);
    kv_test_server_stop_cleanly(&server);
}

/* The only progress of a Unix socket that the kernel reports is the number of unread bytes. */
static void slow_but_active_reader_is_not_cut(void **state)
{
    struct kv_test_server server;
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    struct kv_buffer request = {0};
    char *value = kv_test_letters('1', LONG_VALUE);
    (void)state;
    start(&server, "%folder/socket", "");
    kv_test_store(server.port, "long", value);
    kv_test_http_write(&request, "GET", KV_SLICE("/storage/long"), NULL, (struct kv_slice){0});
    open_stream(&stream, &server);
    kv_test_stream_put(&stream, kv_buffer_slice(&request));
    kv_test_stream_flush(&stream);
    char *taken = malloc(LONG_VALUE);
    for (int i = 0; i < SLOW_READS; i++) {
        ssize_t got = recv(stream.fd, taken, LONG_VALUE / SLOW_READS / 2, 0);
        assert_true(got > 0);
        kv_buffer_append(&stream.in, (struct kv_slice){taken, (size_t)got});
        kv_test_sleep_ms(25);
    }
    assert_true(kv_test_http_receive(&stream, &response));
    assert_true(kv_test_is_value_body(kv_buffer_slice(&response.body), kv_slice_of(value)));
    free(taken);
    free(value);
    kv_buffer_fini(&request);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    kv_test_server_stop_cleanly(&server);
}

static void socket_is_removed_at_the_end(void **state)
{
    struct kv_test_server server;
    char *path = make_path();
    (void)state;
    start(&server, path, "");
    assert_int_equal(access(path, F_OK), 0);
    kv_test_server_stop_cleanly(&server);
    assert_int_not_equal(access(path, F_OK), 0);
    remove_path(path);
}

static void socket_of_a_killed_server_is_replaced(void **state)
{
    struct kv_test_server server;
    struct kv_test_stream stream;
    char *path = make_path();
    (void)state;
    start(&server, path, "");
    kv_test_server_kill(&server);
    assert_int_equal(access(path, F_OK), 0);
    start(&server, path, "");
    kv_test_stream_open_unix(&stream, path);
    kv_test_stream_close(&stream);
    kv_test_server_stop_cleanly(&server);
    remove_path(path);
}

static void spawn(struct kv_test_program *program, const char *path)
{
    struct kv_buffer yaml = {0};
    kv_buffer_printf(&yaml, "listen: [{unix: '%s'}]\nmodules: %s\n", path,
                     getenv("KV_TEST_MODULES"));
    kv_buffer_append_char(&yaml, '\0');
    kv_test_program_prepare(program);
    char *file = kv_test_program_write(program, "kvserver.yaml", yaml.bytes);
    kv_test_program_spawn(program, (const char *[]){"-c", file, NULL});
    free(file);
    kv_buffer_fini(&yaml);
}

static void expect_in_errors(const struct kv_test_program *program, const char *part)
{
    char *err = kv_test_program_read(program, "err");
    if (strstr(err, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, err);
    free(err);
}

static void expect_refused_start(const char *path, int exit_code, const char *reason)
{
    struct kv_test_program program;
    spawn(&program, path);
    assert_int_equal(kv_test_program_wait(&program, KV_TEST_LIMIT_MS), exit_code);
    expect_in_errors(&program, path);
    expect_in_errors(&program, reason);
    kv_test_program_remove(&program);
}

static void socket_in_use_is_not_replaced(void **state)
{
    struct kv_test_server server;
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    char *path = make_path();
    (void)state;
    start(&server, path, "");
    expect_refused_start(path, 1, "another process listens there");
    kv_test_stream_open_unix(&stream, path);
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/readyz", NULL, NULL, &response), 200);
    kv_test_stream_close(&stream);
    kv_test_response_fini(&response);
    kv_test_server_stop_cleanly(&server);
    remove_path(path);
}

/* Returns: the index of the first of two to end. */
static int await_end_of_one(struct kv_test_program programs[2], int *ret_exit_code)
{
    int64_t deadline_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    while (kv_test_now_ms() < deadline_ms) {
        for (int i = 0; i < 2; i++)
            if (kv_test_program_has_ended(&programs[i], ret_exit_code))
                return i;
        kv_test_sleep_ms(2);
    }
    fail_msg("both servers listen");
    return -1;
}

static void expect_one_of_two_to_listen(const char *path)
{
    struct kv_test_program programs[2];
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    int exit_code;
    for (int i = 0; i < 2; i++)
        spawn(&programs[i], path);
    int loser = await_end_of_one(programs, &exit_code);
    assert_int_equal(exit_code, 1);
    expect_in_errors(&programs[loser], "another process listens there");
    kv_test_stream_open_unix(&stream, path);
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/healthz", NULL, NULL, &response), 200);
    kv_test_stream_close(&stream);
    kv_test_response_fini(&response);
    kv_test_program_kill(&programs[!loser]);
    for (int i = 0; i < 2; i++)
        kv_test_program_remove(&programs[i]);
}

/* Every second round starts with the socket of a server that was killed. */
static void one_of_two_servers_started_at_once_listens(void **state)
{
    char *path = make_path();
    (void)state;
    for (int i = 0; i < RIVAL_ROUNDS; i++) {
        expect_one_of_two_to_listen(path);
        if (i % 2 != 0)
            assert_int_equal(unlink(path), 0);
    }
    remove_path(path);
}

static void file_that_is_not_a_socket_is_not_replaced(void **state)
{
    char *path = make_path();
    FILE *file = fopen(path, "w");
    struct stat status;
    (void)state;
    assert_non_null(file);
    fputs("precious", file);
    fclose(file);
    expect_refused_start(path, 2, "the path exists and is not a socket");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, strlen("precious"));
    remove_path(path);
}

static void socket_of_another_server_is_not_removed(void **state)
{
    struct kv_test_server server;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char *path = make_path();
    int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)state;
    start(&server, path, "");
    strcpy(address.sun_path, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(bind(other, (struct sockaddr *)&address, sizeof(address)), 0);
    kv_test_server_stop_cleanly(&server);
    assert_int_equal(access(path, F_OK), 0);
    close(other);
    remove_path(path);
}

static void invalid_addresses_are_reported_with_their_place(void **state)
{
    static const struct {
        const char *yaml, *part;
    } cases[] = {
        {"listen: [{unix: /tmp/s, port: 3000}]\n",
         "1:10: listen[0]: it takes either `unix` or `host` and `port`"},
        {"listen: [{unix: /tmp/s, mode: rw}]\n",
         "1:31: listen[0].mode: \"rw\" is not a valid file mode"},
        {"listen: [{unix: /tmp/s, mode: '0888'}]\n", "1:31: listen[0].mode: \"0888\""},
        {"listen: [{unix: \"\"}]\n", "1:17: listen[0].unix: \"\" is not a path"},
        {"listen: [{unix: " KV_SERVER_PROGRAM "}]\n", "the path exists and is not a socket"},
        {"listen: [{port: 0, mode: '0600'}]\n", "1:26: listen[0].mode: only a Unix socket has one"},
        {"listen: [{unix: /nowhere/s}]\n", "/nowhere/s (listen[0].unix): /nowhere: No such file"},
        {"listen: [{unix: /tmp/s}, {unix: /tmp/s}]\n",
         "listen[1].unix: /tmp/s is also written by listen[0].unix"},
        {"listen: [{unix: "
         "/tmp/0123456789012345678901234567890123456789012345678901234567890123456789"
         "01234567890123456789012345678901234567890}]\n",
         "longer than the path of a socket may be"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kv_test_outcome outcome;
        kv_test_program_run_with_file("--check-config", cases[i].yaml, &outcome);
        assert_int_equal(outcome.exit_code, 2);
        if (strstr(outcome.err, cases[i].part) == NULL)
            fail_msg("\"%s\" is not in: %s", cases[i].part, outcome.err);
        kv_test_outcome_fini(&outcome);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_and_websocket_are_served),
        cmocka_unit_test(requests_for_every_host_are_served_only_on_the_socket),
        cmocka_unit_test(mode_of_the_socket_is_as_configured),
        cmocka_unit_test(slow_but_active_reader_is_not_cut),
        cmocka_unit_test(socket_is_removed_at_the_end),
        cmocka_unit_test(socket_of_a_killed_server_is_replaced),
        cmocka_unit_test(socket_in_use_is_not_replaced),
        cmocka_unit_test(one_of_two_servers_started_at_once_listens),
        cmocka_unit_test(file_that_is_not_a_socket_is_not_replaced),
        cmocka_unit_test(socket_of_another_server_is_not_removed),
        cmocka_unit_test(invalid_addresses_are_reported_with_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
