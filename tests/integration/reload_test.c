/* SIGHUP: the parts that are reloaded, changes that need a restart, and faults. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/folder.h"

#define FILE_NAME "kvserver.yaml"

static struct kv_test_server server;

/* Replaces the first `from` in the server's file. */
static void replace(const char *from, const char *to)
{
    struct kv_buffer text = {0};
    char *before = kv_test_program_read(&server.program, FILE_NAME);
    const char *at = strstr(before, from);
    assert_non_null(at);
    kv_buffer_append(&text, (struct kv_slice){before, (size_t)(at - before)});
    kv_buffer_append(&text, kv_slice_of(to));
    kv_buffer_append(&text, kv_slice_of(at + strlen(from)));
    kv_buffer_append_char(&text, '\0');
    kv_test_file_put(server.program.folder, FILE_NAME, text.bytes);
    kv_buffer_fini(&text);
    free(before);
}

static void reload(void)
{
    assert_int_equal(kill(server.program.pid, SIGHUP), 0);
}

static void each_script_and_each_sink_is_named(void **state)
{
    (void)state;
    char *folder = kv_test_folder_make();
    kv_test_file_put(folder, "hook.lua", "function on_set() end\n");
    kv_test_start_in(&server, folder,
                     "scripts: [{file: '%s/hook.lua'}]\n"
                     "sinks: [{module: file, options: {path: '%s/one'}}, "
                     "{module: file, options: {path: '%s/two'}}]\n");
    reload();
    kv_test_await_log(&server, "script/hook.lua: reloaded");
    kv_test_await_log(&server, "sink/file: reopened");
    kv_test_await_log(&server, "sink/file#2: reopened");
    kv_test_await_log(&server, FILE_NAME ": nothing has changed that needs a restart");
    kv_test_server_stop_cleanly(&server);
    kv_test_folder_remove(folder);
    free(folder);
}

static void changes_that_need_a_restart_are_logged_with_both_values(void **state)
{
    (void)state;
    kv_test_start(&server, "limits: {memory: 1GiB, key: 1024}\n");
    replace("limits: {memory: 1GiB, key: 1024}\n",
            "limits: {memory: 2GiB, key: 1KiB}\ntrusted_proxies: [10.0.0.1]\n");
    reload();
    kv_test_await_log(&server, "limits.memory changed from 1GiB to 2GiB; restart to apply");
    kv_test_await_log(&server, "trusted_proxies[0] (10.0.0.1) was added; restart to apply");
    char *log = kv_test_server_log(&server);
    assert_null(strstr(log, "trusted_proxies changed"));
    assert_null(strstr(log, "limits.key")); /* written in another way only */
    free(log);
    kv_test_server_stop_cleanly(&server);
}

static void access_that_appears_or_vanishes_needs_no_restart(void **state)
{
    static const char section[] = "access: {anonymous: {read: ['']}}\n";
    (void)state;
    kv_test_start(&server, "limits: {key: 1024}\n");
    replace("limits: {key: 1024}\n", section);
    reload();
    kv_test_await_log(&server, FILE_NAME ": `access` applied");
    kv_test_await_log(&server, FILE_NAME ": nothing has changed that needs a restart");
    kv_test_server_stop_cleanly(&server);
    kv_test_start(&server, section);
    replace(section, "limits: {key: 1024}\n");
    reload();
    kv_test_await_log(&server, FILE_NAME ": nothing has changed that needs a restart");
    kv_test_server_stop_cleanly(&server);
}

static int put_from_page(void)
{
    return kv_test_http_status(server.port, "PUT", "/storage/a", "Origin: https://example.org\r\n",
                               "{\"value\":1}");
}

static int get_for_host(void)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, server.port);
    kv_test_stream_put(&stream, KV_SLICE("GET /healthz HTTP/1.1\r\nHost: kv.example.org\r\n\r\n"));
    assert_true(kv_test_http_receive(&stream, &response));
    kv_test_stream_close(&stream);
    int status = response.status;
    kv_test_response_fini(&response);
    return status;
}

/* On all loops. */
static void expect_statuses(int of_page, int of_host)
{
    for (int i = 0; i < 16; i++) {
        assert_int_equal(put_from_page(), of_page);
        assert_int_equal(get_for_host(), of_host);
    }
}

static void await_statuses(int of_page, int of_host)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    for (int n_right = 0; n_right < 16;) {
        bool is_right = put_from_page() == of_page && get_for_host() == of_host;
        n_right = is_right ? n_right + 1 : 0;
        assert_true(kv_test_now_ms() < until_ms);
    }
}

static void origins_hosts_and_log_are_applied(void **state)
{
    (void)state;
    kv_test_start(&server, "log: {level: info}\n");
    assert_int_equal(put_from_page(), 403);
    assert_int_equal(get_for_host(), 403);
    replace("log: {level: info}\n", "log: {level: info, slow: 1s}\nhosts: [kv.example.org]\n"
                                    "origins: ['https://*.example.org', 'https://example.org']\n");
    reload();
    kv_test_await_log(&server, FILE_NAME ": `origins`, `hosts`, `log` applied");
    kv_test_await_log(&server, FILE_NAME ": nothing has changed that needs a restart");
    expect_statuses(202, 200);
    replace("slow: 1s", "slow: 2s");
    reload();
    kv_test_await_log(&server, FILE_NAME ": `log` applied");
    replace("origins: ['https://*.example.org', 'https://example.org']\n", "");
    replace("hosts: [kv.example.org]\n", "");
    replace("level: info", "level: warn");
    reload();
    await_statuses(403, 403);
    kv_test_server_stop_cleanly(&server);
}

#define BUSY_HOOK                                                                                  \
    "function before_set(key)\n"                                                                   \
    "    if key == 'busy' then kv.log('begins'); while true do end end\n"                          \
    "end\n"

static void changes_are_logged_when_every_loop_has_taken_them(void **state)
{
    static const char *const reports[] = {"hook.lua: reloaded", "`access` applied",
                                          "`origins`, `limits` applied",
                                          "nothing has changed that needs a restart"};
    struct kv_test_stream busy;
    struct kv_test_response response = {0};
    (void)state;
    char *folder = kv_test_folder_make();
    kv_test_file_put(folder, "hook.lua", BUSY_HOOK);
    kv_test_start_in(&server, folder,
                     "access: {anonymous: {read: [''], write: ['']}}\n"
                     "scripts: [{file: '%s/hook.lua', limits: {time: 1s, instructions: "
                     "1000000000000}}]\n");
    replace("write: ['']", "write: [a/]");
    replace("access:", "limits: {key: 100}\norigins: ['https://example.org']\naccess:");
    kv_test_stream_open(&busy, server.port);
    kv_test_stream_put(&busy, KV_SLICE("PUT /storage/busy HTTP/1.1\r\nHost: localhost\r\n"
                                       "Content-Length: 11\r\n\r\n{\"value\":1}"));
    kv_test_stream_flush(&busy);
    kv_test_await_log(&server, "begins");
    reload();
    for (size_t i = 0; i < sizeof(reports) / sizeof(reports[0]); i++) {
        kv_test_await_log(&server, reports[i]);
        char *log = kv_test_server_log(&server);
        const char *end = strstr(log, "exceeded the limit of "); /* of the loop's busy time */
        assert_non_null(end);
        assert_non_null(strstr(end, reports[i]));
        free(log);
    }
    for (int i = 0; i < 16; i++)
        assert_int_equal(
            kv_test_http_status(server.port, "PUT", "/storage/b", NULL, "{\"value\":1}"), 401);
    assert_true(kv_test_http_receive(&busy, &response));
    assert_int_equal(response.status, 403);
    kv_test_response_fini(&response);
    kv_test_stream_close(&busy);
    kv_test_server_stop_cleanly(&server);
    kv_test_folder_remove(folder);
    free(folder);
}

/* Changes the file so that this stands for the first `from`, and has the server take it up. */
static void reload_with(const char *from, const char *to)
{
    replace(from, to);
    reload();
}

static int put_long(struct kv_test_stream *stream, int len)
{
    struct kv_test_response response = {0};
    struct kv_buffer body = {0};
    char *letters = kv_test_letters('v', (size_t)len);
    kv_buffer_printf(&body, "{\"value\":\"%s\"}", letters);
    kv_buffer_append_char(&body, '\0');
    int status = kv_test_http_ask(stream, "PUT", "/storage/long", NULL, body.bytes, &response);
    kv_test_response_fini(&response);
    kv_buffer_fini(&body);
    free(letters);
    return status;
}

/* On an open connection: its loop takes the change up in a turn of its own. */
static void await_put(struct kv_test_stream *stream, int len, int status)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    while (put_long(stream, len) != status)
        assert_true(kv_test_now_ms() < until_ms);
}

/* Whether the answer to the message is an error. */
static bool is_refused(struct kv_test_ws *ws, struct kv_slice message)
{
    struct kv_test_frame frame;
    kv_test_ws_send(ws, message);
    assert_true(kv_test_ws_receive(ws, &frame));
    return kv_slice_has_prefix(frame.payload, KV_SLICE("{\"type\":\"error\""));
}

static void await_answer(struct kv_test_ws *ws, const char *message, bool refused)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    while (is_refused(ws, kv_slice_of(message)) != refused)
        assert_true(kv_test_now_ms() < until_ms);
}

/* A `set` of a value of `len` letters. Owns: the caller, by kv_buffer_fini(). */
static struct kv_buffer set_of(size_t len)
{
    struct kv_buffer text = {0};
    char *letters = kv_test_letters('v', len);
    kv_buffer_printf(
        &text, "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"k\",\"value\":\"%s\"}}", letters);
    kv_buffer_append_char(&text, '\0');
    free(letters);
    return text;
}

static void limits_apply_to_open_connections_which_stay(void **state)
{
    (void)state;
    struct kv_test_stream fast, lenient;
    struct kv_test_response response = {0};
    struct kv_test_ws ws;
    struct kv_buffer set = set_of(2000);
    kv_test_start(&server, "limits: {value: 1000, message: 4000}\n");
    kv_test_stream_open(&fast, server.port);
    kv_test_stream_open(&lenient, server.port);
    kv_test_http_ask(&lenient, "OPTIONS", "/storage/k", NULL, NULL, &response); /* libh2o's now */
    kv_test_ws_open(&ws, server.port);
    assert_int_equal(put_long(&fast, 2000), 413);
    assert_int_equal(put_long(&lenient, 2000), 413);
    assert_true(is_refused(&ws, kv_slice_of(set.bytes)));
    reload_with("value: 1000", "value: 3000");
    await_put(&fast, 2000, 202);
    await_put(&lenient, 2000, 202);
    await_answer(&ws, set.bytes, false);
    kv_test_ws_send_text(&ws, "{\"type\":\"hello\",\"id\":2}");
    struct kv_test_frame frame;
    assert_true(kv_test_ws_receive(&ws, &frame));
    kv_buffer_printf(&set, "%.*s", (int)frame.payload.len, frame.payload.bytes);
    kv_test_expect_part(set.bytes + strlen(set.bytes) + 1, "\"value\":3000,\"message\":4000");
    reload_with("value: 3000", "value: 1000");
    await_put(&fast, 2000, 413);
    await_put(&lenient, 2000, 413);
    await_answer(&ws, set.bytes, true);
    kv_test_await_log(&server, FILE_NAME ": nothing has changed that needs a restart");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
    kv_test_stream_close(&fast);
    kv_test_stream_close(&lenient);
    kv_test_response_fini(&response);
    kv_buffer_fini(&set);
    kv_test_server_stop_cleanly(&server);
}

/* libh2o takes no body that is much longer than a value may be. */
static void long_bodies_are_subject_to_the_new_limit(void **state)
{
    (void)state;
    struct kv_test_stream stream;
    kv_test_start(&server, "limits: {value: 1000}\n");
    kv_test_stream_open(&stream, server.port);
    assert_int_equal(put_long(&stream, 3 << 20), 413);
    kv_test_stream_close(&stream);
    reload_with("value: 1000", "value: 4MiB");
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    for (int status = 0; status != 202;) {
        assert_true(kv_test_now_ms() < until_ms);
        kv_test_stream_open(&stream, server.port); /* a refusal ends the connection */
        status = put_long(&stream, 3 << 20);
        kv_test_stream_close(&stream);
    }
    kv_test_server_stop_cleanly(&server);
}

static void messages_longer_than_a_lowered_limit_end_the_connection(void **state)
{
    (void)state;
    struct kv_test_ws ws;
    struct kv_buffer set = set_of(2000);
    kv_test_start(&server, "limits: {message: 1000}\n");
    kv_test_ws_open(&ws, server.port);
    reload_with("message: 1000", "message: 1MiB");
    const char *hello = "{\"type\":\"hello\"}";
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    for (bool is_told = false; !is_told;) {
        struct kv_test_frame frame;
        struct kv_buffer text = {0};
        kv_test_ws_send(&ws, kv_slice_of(hello));
        assert_true(kv_test_ws_receive(&ws, &frame));
        kv_buffer_printf(&text, "%.*s", (int)frame.payload.len, frame.payload.bytes);
        is_told = strstr(text.bytes, "\"message\":1048576") != NULL;
        kv_buffer_fini(&text);
        assert_true(kv_test_now_ms() < until_ms);
    }
    assert_false(is_refused(&ws, kv_slice_of(set.bytes)));
    reload_with("message: 1MiB", "message: 1000");
    for (struct kv_test_frame frame;;) {
        assert_true(kv_test_now_ms() < until_ms);
        kv_test_ws_send(&ws, kv_slice_of(set.bytes));
        assert_true(kv_test_ws_receive(&ws, &frame));
        if (frame.opcode != KV_TEST_WS_CLOSE)
            continue;
        assert_int_equal(kv_test_ws_close_code(&frame), 1009);
        break;
    }
    kv_test_ws_close(&ws);
    kv_buffer_fini(&set);
    kv_test_server_stop_cleanly(&server);
}

#define SUBSCRIBE(key)                                                                             \
    "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"key\":\"" key "\",\"initial\":false}}"

static void subscriptions_stay_beyond_a_lowered_limit_and_more_are_refused(void **state)
{
    (void)state;
    struct kv_test_ws ws;
    kv_test_start(&server, "limits: {subscriptions_per_connection: 1}\n");
    kv_test_ws_open(&ws, server.port);
    assert_false(is_refused(&ws, KV_SLICE(SUBSCRIBE("a"))));
    assert_true(is_refused(&ws, KV_SLICE(SUBSCRIBE("b"))));
    reload_with("connection: 1", "connection: 3");
    await_answer(&ws, SUBSCRIBE("b"), false);
    reload_with("connection: 3", "connection: 1");
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    while (!is_refused(&ws, KV_SLICE(SUBSCRIBE("c")))) {
        assert_false(is_refused(&ws, KV_SLICE("{\"type\":\"unsubscribe\",\"id\":1,"
                                              "\"payload\":{\"key\":\"c\"}}")));
        assert_true(kv_test_now_ms() < until_ms);
    }
    kv_test_store(server.port, "a", "1");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"a\",\"value\":1}}");
    kv_test_store(server.port, "b", "2");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"b\",\"value\":2}}");
    kv_test_ws_close(&ws);
    kv_test_server_stop_cleanly(&server);
}

static int ask(struct kv_test_stream *stream)
{
    struct kv_test_response response = {0};
    int status = kv_test_http_ask(stream, "GET", "/healthz", NULL, NULL, &response);
    kv_test_response_fini(&response);
    return status;
}

/* Opens connections until one is answered so. */
static void await_new(struct kv_test_stream *stream, int status)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    for (;;) {
        kv_test_stream_open(stream, server.port);
        if (ask(stream) == status)
            return;
        kv_test_stream_close(stream);
        assert_true(kv_test_now_ms() < until_ms);
    }
}

static void connections_stay_beyond_a_lowered_limit_and_more_are_refused(void **state)
{
    (void)state;
    struct kv_test_stream first, second, third;
    kv_test_start(&server, "limits: {connections: 2}\n");
    await_new(&first, 200);
    await_new(&second, 200);
    await_new(&third, 503);
    kv_test_stream_close(&third);
    reload_with("connections: 2", "connections: 3");
    await_new(&third, 200);
    reload_with("connections: 3", "connections: 1");
    kv_test_stream_close(&third);
    await_new(&third, 503);
    kv_test_stream_close(&third);
    assert_int_equal(ask(&first), 200);
    assert_int_equal(ask(&second), 200);
    kv_test_stream_close(&second);
    kv_test_stream_close(&first);
    await_new(&first, 200);
    kv_test_stream_close(&first);
    kv_test_server_stop_cleanly(&server);
}

/* Connections opened while no address was counted are counted from then on. */
static void connections_of_an_address_are_counted_from_a_reload_on(void **state)
{
    (void)state;
    struct kv_test_stream streams[3], over;
    kv_test_start(&server, "limits: {connections_per_address: 0}\n");
    for (int i = 0; i < 3; i++)
        await_new(&streams[i], 200);
    reload_with("connections_per_address: 0", "connections_per_address: 3");
    await_new(&over, 503);
    kv_test_stream_close(&over);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(&streams[i]), 200);
    kv_test_stream_close(&streams[0]);
    await_new(&streams[0], 200);
    reload_with("connections_per_address: 3", "connections_per_address: 0");
    await_new(&over, 200);
    kv_test_stream_close(&over);
    for (int i = 0; i < 3; i++)
        kv_test_stream_close(&streams[i]);
    kv_test_server_stop_cleanly(&server);
}

static void timeouts_apply_to_open_connections(void **state)
{
    (void)state;
    struct kv_test_stream silent;
    struct kv_test_ws ws;
    struct kv_test_frame frame;
    kv_test_start(&server, "timeouts: {idle: 1h, websocket_ping: 1h}\n");
    kv_test_stream_open(&silent, server.port);
    assert_int_equal(ask(&silent), 200);
    kv_test_ws_open(&ws, server.port);
    reload_with("idle: 1h, websocket_ping: 1h", "idle: 400ms, websocket_ping: 100ms");
    while (!kv_test_ws_take(&ws, &frame))
        kv_test_stream_wait(&ws.stream);
    assert_int_equal(frame.opcode, KV_TEST_WS_PING);
    kv_test_ws_close(&ws);
    kv_test_stream_await_end(&silent);
    kv_test_stream_close(&silent);
    kv_test_server_stop_cleanly(&server);
}

static void scripts_write_what_the_new_limits_allow(void **state)
{
    (void)state;
    struct kv_test_stream stream;
    char *folder = kv_test_folder_make();
    kv_test_file_put(folder, "hook.lua",
                     "function before_set() return string.rep('x', 2000) end\n");
    kv_test_start_in(&server, folder, "limits: {value: 1000}\nscripts: [{file: '%s/hook.lua'}]\n");
    kv_test_stream_open(&stream, server.port);
    assert_int_not_equal(put_long(&stream, 1), 202);
    reload_with("value: 1000", "value: 3000");
    await_put(&stream, 1, 202);
    kv_test_file_put(folder, "hook.lua", "function before_set() error('broken') end\nfunction");
    replace("value: 3000", "valu: 3000"); /* neither is taken up */
    reload();
    kv_test_await_log(&server, "keeping the old configuration");
    await_put(&stream, 1, 202);
    kv_test_stream_close(&stream);
    kv_test_server_stop_cleanly(&server);
    kv_test_folder_remove(folder);
    free(folder);
}

static void changed_secret_is_not_shown(void **state)
{
    struct kv_buffer module = {0};
    (void)state;
    kv_buffer_printf(&module, "%s/sink/webhook.so", getenv("KV_TEST_MODULES"));
    kv_buffer_append_char(&module, '\0');
    bool is_there = access(module.bytes, F_OK) == 0;
    kv_buffer_fini(&module);
    if (!is_there)
        skip(); /* it is the sink with secrets */
    kv_test_start(&server,
                  "sinks: [{module: webhook, options: {url: 'http://127.0.0.1:1/', secret: "
                  "plover}}]\n");
    replace("plover", "xyzzy");
    reload();
    kv_test_await_log(&server, "sinks[0].options.secret has changed; restart to apply");
    char *log = kv_test_server_log(&server);
    assert_null(strstr(log, "plover"));
    assert_null(strstr(log, "xyzzy"));
    free(log);
    kv_test_server_stop_cleanly(&server);
}

/* Each of its lines, without the program's name before it. */
static void expect_in_log(char *lines)
{
    const struct kv_slice name = KV_SLICE("kvserver: ");
    int n = 0;
    for (char *line = lines, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, n++) {
        *end = '\0';
        assert_true(kv_slice_has_prefix(kv_slice_of(line), name));
        kv_test_await_log(&server, line + name.len);
    }
    assert_true(n >= 2);
}

static void broken_file_is_reported_as_at_the_start_and_changes_nothing(void **state)
{
    struct kv_test_outcome outcome;
    (void)state;
    kv_test_start(&server, "limits: {value: 1MiB}\n");
    replace("limits: {value: 1MiB}\n", "limits: {valu: 1MiB}\nthread: 3\n");
    reload();
    char *path = kv_test_path(server.program.folder, FILE_NAME);
    kv_test_program_run((const char *[]){"--check-config", "-c", path, NULL}, &outcome);
    assert_int_equal(outcome.exit_code, 2);
    expect_in_log(outcome.err);
    kv_test_await_log(&server, "keeping the old configuration");
    kv_test_store(server.port, "k", "1");
    kv_test_outcome_fini(&outcome);
    free(path);
    kv_test_server_stop_cleanly(&server);
}

static void missing_file_is_logged(void **state)
{
    (void)state;
    kv_test_start(&server, "");
    char *path = kv_test_path(server.program.folder, FILE_NAME);
    assert_int_equal(unlink(path), 0);
    reload();
    kv_test_await_log(&server, FILE_NAME ": cannot be opened: No such file");
    kv_test_store(server.port, "k", "1");
    free(path);
    kv_test_server_stop_cleanly(&server);
}

/* To open it would wait for a writer. */
static void pipe_in_place_of_a_script_is_refused_without_blocking(void **state)
{
    (void)state;
    char *folder = kv_test_folder_make();
    char *script = kv_test_path(folder, "hook.lua");
    kv_test_file_put(folder, "hook.lua", "function on_set() end\n");
    kv_test_start_in(&server, folder, "scripts: [{file: '%s/hook.lua'}]\n");
    assert_int_equal(unlink(script), 0);
    assert_int_equal(mkfifo(script, 0600), 0);
    reload();
    kv_test_await_log(&server, "hook.lua is not a regular file");
    kv_test_store(server.port, "k", "1");
    kv_test_server_stop_cleanly(&server);
    kv_test_folder_remove(folder);
    free(script);
    free(folder);
}

static void script_that_refuses_its_options_keeps_its_previous_version(void **state)
{
    (void)state;
    char *folder = kv_test_folder_make();
    kv_test_file_put(folder, "hook.lua", "function before_delete() kv.refuse('no') end\n");
    kv_test_start_in(&server, folder, "scripts: [{file: '%s/hook.lua', options: {a: b}}]\n");
    kv_test_file_put(folder, "hook.lua",
                     "kv.fault('a', 'not b')\nkv.fault('', 'c is missing')\nerror('so what')\n");
    reload();
    kv_test_await_log(&server, "script/hook.lua: options.a: not b; keeping the previous version");
    kv_test_await_log(&server, "script/hook.lua: options: c is missing; keeping the previous");
    kv_test_await_log(&server, "scripts[0]: script/hook.lua cannot be loaded: see above");
    kv_test_await_log(&server, "the server would not start with this file");
    assert_int_equal(kv_test_http_status(server.port, "DELETE", "/storage/k", NULL, NULL), 403);
    char *log = kv_test_server_log(&server);
    assert_null(strstr(log, "so what")); /* it comes of the faults */
    assert_null(strstr(strstr(log, "options.a: ") + 1, "options.a: "));
    free(log);
    kv_test_server_stop_cleanly(&server);
    kv_test_folder_remove(folder);
    free(folder);
}

/* Starts a server with this file alone. */
static void start_with(const char *yaml)
{
    char *whole = kv_test_with_modules(yaml);
    kv_test_server_start(&server, whole);
    free(whole);
}

static void file_without_a_store_logs_that_data_is_volatile(void **state)
{
    (void)state;
    start_with("listen: [{port: %port}]\nstorage: {memory: {max_bytes: 1MiB}}\n");
    kv_test_await_log(&server, "without `storage: {module: …}` in the configuration data is in "
                               "memory only");
    kv_test_server_stop_cleanly(&server);
    start_with("listen: [{port: %port}]\nstorage: {module: memory}\n"); /* as somebody wants it */
    kv_test_await_log(&server, "listening on");
    char *log = kv_test_server_log(&server);
    assert_null(strstr(log, "in memory only"));
    free(log);
    kv_test_server_stop_cleanly(&server);
}

/* Its port may be in use: the line comes before that is noticed. */
static void server_without_a_file_logs_that_data_is_volatile(void **state)
{
    (void)state;
    kv_test_program_prepare(&server.program);
    kv_test_program_spawn(&server.program, (const char *[]){NULL});
    kv_test_await_log(&server, "without a configuration (-c FILE) data is in memory only");
    kv_test_server_kill(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_script_and_each_sink_is_named),
        cmocka_unit_test(changes_that_need_a_restart_are_logged_with_both_values),
        cmocka_unit_test(access_that_appears_or_vanishes_needs_no_restart),
        cmocka_unit_test(origins_hosts_and_log_are_applied),
        cmocka_unit_test(changes_are_logged_when_every_loop_has_taken_them),
        cmocka_unit_test(limits_apply_to_open_connections_which_stay),
        cmocka_unit_test(long_bodies_are_subject_to_the_new_limit),
        cmocka_unit_test(messages_longer_than_a_lowered_limit_end_the_connection),
        cmocka_unit_test(subscriptions_stay_beyond_a_lowered_limit_and_more_are_refused),
        cmocka_unit_test(connections_stay_beyond_a_lowered_limit_and_more_are_refused),
        cmocka_unit_test(connections_of_an_address_are_counted_from_a_reload_on),
        cmocka_unit_test(timeouts_apply_to_open_connections),
        cmocka_unit_test(scripts_write_what_the_new_limits_allow),
        cmocka_unit_test(changed_secret_is_not_shown),
        cmocka_unit_test(broken_file_is_reported_as_at_the_start_and_changes_nothing),
        cmocka_unit_test(missing_file_is_logged),
        cmocka_unit_test(pipe_in_place_of_a_script_is_refused_without_blocking),
        cmocka_unit_test(script_that_refuses_its_options_keeps_its_previous_version),
        cmocka_unit_test(file_without_a_store_logs_that_data_is_volatile),
        cmocka_unit_test(server_without_a_file_logs_that_data_is_volatile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
