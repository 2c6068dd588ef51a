/*
 * Destinations of changes besides subscribers: the sinks' host with a sink that the test controls
 * (support/modules/scripted), and the sink `file`.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/folder.h"

enum {
    LINES = 512,
    HELD_MS = 1000,    /* a write that is not answered for so long is held back */
    HURRIED_MS = 8000, /* generous: it is below a second on a machine that is not busy */
};

/* A server with sinks, in a folder of its own. */
struct rig {
    struct kv_test_server server;
    char *folder;
    char *text; /* of the file that was read last */
    char *lines[LINES];
    size_t n_lines;
};

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig->folder = kv_test_folder_make();
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    kv_test_folder_remove(rig->folder);
    free(rig->folder);
    free(rig->text);
    free(rig);
    return 0;
}

static void order(struct rig *rig, const char *text)
{
    kv_test_file_put(rig->folder, "orders", text);
}

/* Reads the lines of a file; none where it is not there. */
static void read_lines(struct rig *rig, const char *name)
{
    char *path = kv_test_path(rig->folder, name);
    struct kv_buffer text = {0};
    if (access(path, F_OK) == 0)
        kv_test_file_read(path, &text);
    kv_buffer_append_char(&text, '\0');
    free(rig->text);
    free(path);
    rig->text = text.bytes;
    rig->n_lines = 0;
    for (char *at = rig->text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        *end = '\0';
        assert_true(rig->n_lines < LINES);
        rig->lines[rig->n_lines++] = at;
    }
}

/* The place of the line with this part. Lines of different keys may come in any order. */
static size_t line_with(const struct rig *rig, const char *part)
{
    for (size_t i = 0; i < rig->n_lines; i++)
        if (strstr(rig->lines[i], part) != NULL)
            return i;
    fail_msg("no line has %s", part);
    return 0;
}

static void await_lines(struct rig *rig, const char *name, size_t n)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    for (read_lines(rig, name); rig->n_lines < n; read_lines(rig, name)) {
        if (kv_test_now_ms() > until_ms)
            fail_msg("%zu lines of %zu in %s", rig->n_lines, n, name);
        kv_test_sleep_ms(5);
    }
}

/* `%s` stands for the folder. */
static void start(struct rig *rig, const char *sinks, const char *more)
{
    struct kv_buffer yaml = {0};
    kv_buffer_append(&yaml, kv_slice_of(sinks));
    kv_buffer_append(&yaml, kv_slice_of(more));
    kv_buffer_append_char(&yaml, '\0');
    kv_test_start_in(&rig->server, rig->folder, yaml.bytes);
    kv_buffer_fini(&yaml);
}

#define SCRIPTED "module: scripted, options: {orders: '%s/orders', output: '%s/out'}"
/* A sink behind another: what it has written, the other has taken. */
#define FENCE   "{module: file, options: {path: '%s/fence'}}"
#define QUICKLY "retry: {first: 5ms, longest: 20ms}"

static void set_number(struct rig *rig, const char *key, int number)
{
    char value[16];
    snprintf(value, sizeof(value), "%d", number);
    kv_test_store(rig->server.port, key, value);
}

static void delete_key(struct rig *rig, const char *key)
{
    char path[64];
    snprintf(path, sizeof(path), "/storage/%s", key);
    assert_int_equal(kv_test_http_status(rig->server.port, "DELETE", path, NULL, NULL), 200);
}

/* Waits for the end of a server that was asked to end; what it logged has this part. */
static void await_end(struct rig *rig, const char *part)
{
    assert_int_equal(kv_test_program_wait(&rig->server.program, KV_TEST_LIMIT_MS), 0);
    char *log = kv_test_server_log(&rig->server);
    kv_test_expect_part(log, part);
    kv_test_program_remove(&rig->server.program);
    free(log);
}

static void stop(struct rig *rig, const char *part)
{
    kv_test_server_terminate(&rig->server);
    await_end(rig, part);
}

/* The numbers that were set, in the order in which they were delivered. */
static void expect_numbers(struct rig *rig, int first, int n)
{
    for (int i = 0; i < n; i++) {
        char part[32];
        snprintf(part, sizeof(part), "\"value\":%d,", first + i);
        kv_test_expect_part(rig->lines[i], part);
    }
}

static long number_of(const char *line)
{
    const char *at = strstr(line, "\"value\":");
    assert_non_null(at);
    return strtol(at + 8, NULL, 10);
}

/* ---- what is delivered ---- */

static void each_change_is_one_complete_line(void **state)
{
    struct rig *rig = *state;
    struct kv_test_response response = {0};
    struct kv_test_stream stream;
    start(rig, "sinks: [{module: file, options: {path: '%s/out'}}]\n", "");
    kv_test_stream_open(&stream, rig->server.port);
    assert_int_equal(kv_test_http_ask(&stream, "POST", "/storage/a%22%C3%A4%00", NULL,
                                      "{\"value\":{\"b\": [1e400, \"\\u00e4\"]}}", &response),
                     202);
    char etag[64], part[256];
    snprintf(etag, sizeof(etag), "%s", kv_test_response_header(&response, "etag"));
    etag[strlen(etag) - 1] = '\0';
    delete_key(rig, "a%22%C3%A4%00");
    await_lines(rig, "out", 2);
    snprintf(part, sizeof(part),
             "-%s\",\"type\":\"set\",\"key\":\"a\\\"\xc3\xa4\\u0000\",\"value\":{\"b\": [1e400, "
             "\"\\u00e4\"]},\"revision\":%s,\"time\":\"20",
             etag + 1, etag + 1);
    kv_test_expect_part(rig->lines[0], "{\"id\":\"");
    kv_test_expect_part(rig->lines[0], part);
    assert_string_equal(rig->lines[0] + strlen(rig->lines[0]) - 3, "Z\"}");
    kv_test_expect_part(rig->lines[1],
                        "\"type\":\"delete\",\"key\":\"a\\\"\xc3\xa4\\u0000\",\"previous\":"
                        "{\"b\": [1e400, \"\\u00e4\"]},\"revision\":");
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    stop(rig, "delivered 2 events, retried 0 times, dropped 0 events");
}

static void expiry_is_delivered_once_with_the_last_value(void **state)
{
    struct rig *rig = *state;
    start(rig, "sinks: [{module: file, options: {path: '%s/out'}, events: [expire]}]\n", "");
    assert_int_equal(kv_test_http_status(rig->server.port, "POST", "/storage/k", NULL,
                                         "{\"value\":\"last\",\"ttl\":30}"),
                     202);
    await_lines(rig, "out", 1);
    kv_test_expect_missing(rig->server.port, "k");
    delete_key(rig, "k");
    stop(rig, "delivered 1 event");
    read_lines(rig, "out");
    assert_int_equal(rig->n_lines, 1);
    kv_test_expect_part(rig->lines[0], "\"type\":\"expire\",\"key\":\"k\",\"previous\":\"last\",");
}

static void writes_that_change_nothing_are_not_delivered(void **state)
{
    struct rig *rig = *state;
    start(rig, "sinks: [{module: file, options: {path: '%s/out'}}]\n", "");
    set_number(rig, "k", 1);
    set_number(rig, "k", 1);
    delete_key(rig, "other");
    set_number(rig, "k", 2);
    stop(rig, "delivered 2 events");
    read_lines(rig, "out");
    assert_int_equal(rig->n_lines, 2);
    expect_numbers(rig, 1, 2);
}

static void sink_gets_only_its_prefixes_and_types(void **state)
{
    struct rig *rig = *state;
    start(rig,
          "sinks:\n"
          "  - {module: file, options: {path: '%s/users'}, prefixes: ['user:', 'u:']}\n"
          "  - {module: file, options: {path: '%s/deletes'}, events: [delete]}\n",
          "");
    set_number(rig, "user:1", 1);
    set_number(rig, "other", 2);
    set_number(rig, "u:", 2);
    delete_key(rig, "other");
    delete_key(rig, "user:1");
    stop(rig, "sink/file#2: delivered 2 events");
    read_lines(rig, "users");
    assert_int_equal(rig->n_lines, 3);
    assert_true(line_with(rig, "\"type\":\"set\",\"key\":\"user:1\"") <
                line_with(rig, "\"type\":\"delete\",\"key\":\"user:1\""));
    line_with(rig, "\"type\":\"set\",\"key\":\"u:\"");
    read_lines(rig, "deletes");
    assert_int_equal(rig->n_lines, 2);
    line_with(rig, "\"key\":\"other\"");
    line_with(rig, "\"key\":\"user:1\"");
}

static void import_is_not_delivered(void **state)
{
    struct rig *rig = *state;
    struct kv_buffer yaml = {0};
    if (kv_test_uses_store("rocksdb"))
        skip(); /* a durable store ends after the import */
    kv_test_file_put(rig->folder, "lines", "{\"key\":\"a\",\"value\":1}\n");
    kv_buffer_printf(&yaml, "sinks: [{module: file, options: {path: '%s/out'}}]\n", rig->folder);
    kv_buffer_append_char(&yaml, '\0');
    char *whole = kv_test_yaml(yaml.bytes);
    char *lines = kv_test_path(rig->folder, "lines");
    kv_test_server_start_importing(&rig->server, whole, lines);
    kv_test_server_await_ready(&rig->server);
    set_number(rig, "b", 2);
    stop(rig, "delivered 1 event");
    free(lines);
    free(whole);
    kv_buffer_fini(&yaml);
}

/* ---- sinks that fail ---- */

static void nothing_is_lost_or_duplicated_while_a_sink_fails(void **state)
{
    struct rig *rig = *state;
    enum {
        N = 60
    };
    order(rig, "fail");
    start(rig, "sinks: [{" SCRIPTED ", " QUICKLY "}]\n", "");
    for (int i = 0; i < N / 3; i++)
        set_number(rig, "k", i);
    kv_test_await_log(&rig->server, "not delivered: told to fail");
    order(rig, "one");
    for (int i = N / 3; i < N * 2 / 3; i++)
        set_number(rig, "k", i);
    order(rig, "ok");
    for (int i = N * 2 / 3; i < N; i++)
        set_number(rig, "k", i);
    await_lines(rig, "out", N);
    expect_numbers(rig, 0, N);
    stop(rig, "not delivered: told to fail");
    read_lines(rig, "out");
    assert_int_equal(rig->n_lines, N + 1);
    assert_string_equal(rig->lines[N], "closed");
}

/* The newest is kept even where all others are on their way. */
static void expect_newest(struct rig *rig, size_t most, const char *last)
{
    read_lines(rig, "out");
    size_t n = rig->n_lines - 1;
    assert_string_equal(rig->lines[n], "closed");
    assert_true(n == most || n == most + 1);
    kv_test_expect_part(rig->lines[n - 1], last);
}

static void oldest_are_dropped_and_counted_when_there_is_no_room(void **state)
{
    struct rig *rig = *state;
    order(rig, "fail");
    start(rig,
          "sinks: [{" SCRIPTED ", queue: {events: 10}, retry: {first: 5ms, longest: 5ms}}, " FENCE
          "]\n",
          "");
    for (int i = 0; i < 50; i++)
        set_number(rig, "k", i);
    await_lines(rig, "fence", 50);
    order(rig, "ok");
    stop(rig, "delivered 1");
    expect_newest(rig, 10, "\"value\":49,");
    for (size_t i = 1; i < rig->n_lines - 1;
         i++) /* those on their way when others came were kept */
        assert_true(number_of(rig->lines[i]) > number_of(rig->lines[i - 1]));
}

static void queue_is_bounded_by_bytes_too(void **state)
{
    struct rig *rig = *state;
    char *value = kv_test_letters('x', 10000);
    value[0] = value[9999] = '"';
    order(rig, "fail");
    start(rig, "sinks: [{" SCRIPTED ", queue: {bytes: 25kB}, " QUICKLY "}, " FENCE "]\n", "");
    for (int i = 0; i < 6; i++) {
        value[1] = (char)('0' + i);
        kv_test_store(rig->server.port, "k", value);
    }
    await_lines(rig, "fence", 6);
    order(rig, "ok");
    stop(rig, "delivered ");
    expect_newest(rig, 2, "\"value\":\"5xx");
    free(value);
}

/* The end would wait for it for longer than a test waits for the end. */
static void event_is_given_up_after_the_configured_time(void **state)
{
    struct rig *rig = *state;
    order(rig, "fail");
    start(rig, "sinks: [{" SCRIPTED ", retry: {first: 5ms, longest: 5ms, give_up: 50ms}}]\n",
          "timeouts: {drain: 10m}\n");
    set_number(rig, "k", 1);
    stop(rig, "delivered 0 events");
}

/* All that came together with it are refused with it, and are not its fault. */
static void always_refused_event_is_dropped_alone(void **state)
{
    struct rig *rig = *state;
    order(rig, "fail");
    start(rig, "sinks: [{" SCRIPTED ", retry: {first: 5ms, longest: 10ms}}]\n", "");
    for (int i = 0; i < 20; i++)
        set_number(rig, "k", i);
    kv_test_store(rig->server.port, "k", "\"bad\"");
    for (int i = 20; i < 40; i++)
        set_number(rig, "k", i);
    order(rig, "refuse");
    await_lines(rig, "out", 40);
    expect_numbers(rig, 0, 40);
    kv_test_await_log(&rig->server, "of key \"k\"");
    kv_test_await_log(&rig->server, "is dropped: refused 10 times alone: told to fail");
    stop(rig, "delivered 40 events");
}

/* Ten in ten seconds. */
static void many_drops_are_few_lines(void **state)
{
    struct rig *rig = *state;
    int64_t began_ms = kv_test_now_ms();
    order(rig, "refuse");
    start(rig, "sinks: [{" SCRIPTED ", retry: {first: 1ms, longest: 1ms}}]\n", "");
    for (int i = 0; i < 15; i++) {
        kv_test_store(rig->server.port, "k", "\"bad\"");
        set_number(rig, "k", i);
    }
    await_lines(rig, "out", 15);
    int64_t took_ms = kv_test_now_ms() - began_ms;
    char *log = kv_test_server_log(&rig->server);
    int n_told = 0;
    for (const char *at = log; (at = strstr(at, "is dropped: ")) != NULL; at++)
        n_told++;
    assert_true(n_told >= 10);
    if (took_ms < 10000)
        assert_int_equal(n_told, 10);
    free(log);
    stop(rig, "delivered 15 events, retried");
}

static void events_that_a_sink_gives_up_count_as_dropped(void **state)
{
    struct rig *rig = *state;
    order(rig, "drop");
    start(rig, "sinks: [{" SCRIPTED "}]\n", "");
    set_number(rig, "k", 1);
    stop(rig, "delivered 0 events, retried 0 times, dropped 1 event");
}

/* ---- holding back writes ---- */

static void put_numbered(struct kv_test_ws *ws, int n)
{
    kv_test_ws_put_text(ws, "{\"type\":\"set\",\"id\":%d,\"payload\":{\"key\":\"k\",\"value\":%d}}",
                        n, n);
}

/* Whether the write is answered at once, and not held back. */
static bool is_answered(struct kv_test_ws *ws, int n)
{
    struct kv_test_stream *stream = &ws->stream;
    char id[16];
    put_numbered(ws, n);
    kv_test_stream_flush(stream);
    if (kv_test_stream_unread(stream).len == 0 && !kv_test_stream_turn(&stream, 1, HELD_MS))
        return false;
    snprintf(id, sizeof(id), "%d", n);
    kv_test_ws_expect_ok(ws, id, "\"k\"");
    return true;
}

/* The queue may be overrun by what the other loop has not handed over, which is more the longer
 * that loop has to wait for a processor. */
static void full_queue_holds_back_only_writes(void **state)
{
    struct rig *rig = *state;
    enum {
        MOST = 50000, /* writes that the queue may be overrun by */
        HELD = 250
    };
    struct kv_test_ws ws;
    struct kv_test_frame frame;
    char last[16];
    int n = 0;
    order(rig, "fail");
    start(rig,
          "sinks: [{" SCRIPTED ", queue: {events: 10}, when_full: block_writes, " QUICKLY "}]\n",
          "");
    kv_test_ws_open(&ws, rig->server.port);
    while (is_answered(&ws, n))
        assert_true(n++ < MOST);
    assert_true(n > 10);
    const int n_all = n + HELD;
    snprintf(last, sizeof(last), "%d", n - 1);
    for (int i = n + 1; i < n_all; i++)
        put_numbered(&ws, i);
    kv_test_stream_flush(&ws.stream);
    assert_int_equal(kv_test_http_status(rig->server.port, "GET", "/storage/k", NULL, NULL), 200);
    kv_test_sleep_ms(100);
    kv_test_expect_value(rig->server.port, "k", last);
    assert_false(kv_test_ws_take(&ws, &frame));
    order(rig, "ok");
    for (; n < n_all; n++) {
        char id[16];
        snprintf(id, sizeof(id), "%d", n);
        kv_test_ws_expect_ok(&ws, id, "\"k\"");
    }
    await_lines(rig, "out", (size_t)n_all);
    expect_numbers(rig, 0, n_all);
    kv_test_ws_close(&ws);
    stop(rig, "dropped 0 events");
}

static void keys_do_not_expire_while_writes_are_held_back(void **state)
{
    struct rig *rig = *state;
    order(rig, "fail");
    start(rig,
          "sinks: [{" SCRIPTED ", queue: {events: 1}, when_full: block_writes, " QUICKLY "}]\n",
          "");
    assert_int_equal(kv_test_http_status(rig->server.port, "POST", "/storage/a", NULL,
                                         "{\"value\":1,\"ttl\":100}"),
                     202);
    set_number(rig, "b", 2);
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    while (kv_test_http_status(rig->server.port, "GET", "/storage/a", NULL, NULL) == 200)
        assert_true(kv_test_now_ms() < until_ms);
    order(rig, "ok");
    await_lines(rig, "out", 3);
    assert_true(line_with(rig, "\"type\":\"set\",\"key\":\"a\"") <
                line_with(rig, "\"type\":\"expire\",\"key\":\"a\""));
    stop(rig, "dropped 0 events");
}

/* ---- the end ---- */

static void waiting_events_are_delivered_at_the_end(void **state)
{
    struct rig *rig = *state;
    order(rig, "fail");
    start(rig, "sinks: [{" SCRIPTED ", " QUICKLY "}]\n", "");
    for (int i = 0; i < 20; i++)
        set_number(rig, "k", i);
    kv_test_server_terminate(&rig->server);
    kv_test_await_log(&rig->server, "waiting up to 10 s for sink/scripted (20 events)");
    order(rig, "ok");
    await_end(rig, "delivered 20 events");
    read_lines(rig, "out");
    expect_numbers(rig, 0, 20);
}

static void sink_that_fails_to_the_end_costs_the_drain_time(void **state)
{
    struct rig *rig = *state;
    order(rig, "fail");
    start(rig, "sinks: [{" SCRIPTED ", " QUICKLY "}]\n", "timeouts: {drain: 300ms}\n");
    set_number(rig, "k", 1);
    int64_t begin_ms = kv_test_now_ms();
    stop(rig, "delivered 0 events");
    assert_true(kv_test_now_ms() - begin_ms >= 250);
    assert_true(kv_test_now_ms() - begin_ms < 10000);
    read_lines(rig, "out");
    assert_string_equal(rig->lines[rig->n_lines - 1], "closed");
}

static void hanging_sink_is_told_to_end(void **state)
{
    struct rig *rig = *state;
    order(rig, "hang");
    start(rig, "sinks: [{" SCRIPTED "}]\n", "timeouts: {drain: 100ms}\n");
    set_number(rig, "k", 1);
    stop(rig, "dropped 1 event");
}

static void sink_that_never_returns_is_left_behind(void **state)
{
    struct rig *rig = *state;
    order(rig, "stuck");
    start(rig, "sinks: [{" SCRIPTED "}]\n", "timeouts: {drain: 100ms}\n");
    set_number(rig, "k", 1);
    stop(rig, "does not return");
}

/* Sends a second signal once the server says what it waits for, which would be a minute. Returns:
 * whether the store was closed in time. */
static bool hurry(struct rig *rig, const char *waited_for)
{
    char part[128];
    kv_test_server_terminate(&rig->server);
    snprintf(part, sizeof(part), "waiting up to 60 s for %s; signal again to stop now", waited_for);
    kv_test_await_log(&rig->server, part);
    int64_t begin_ms = kv_test_now_ms();
    kill(rig->server.program.pid, SIGINT);
    bool is_closed = kv_test_await_hurried_end(&rig->server);
    assert_true(kv_test_now_ms() - begin_ms < HURRIED_MS);
    return is_closed;
}

static void second_signal_ends_the_wait_for_sinks(void **state)
{
    struct rig *rig = *state;
    order(rig, "fail");
    start(rig,
          "sinks: [{" SCRIPTED ", retry: {first: 30s, longest: 30s}}, {" SCRIPTED ", " QUICKLY
          "}]\n",
          "timeouts: {drain: 60s}\n");
    set_number(rig, "k", 1);
    bool is_closed = hurry(rig, "sink/scripted (1 event), sink/scripted#2 (1 event)");
    kv_test_await_log(&rig->server, "received SIGINT, stopping now");
    if (is_closed) {
        kv_test_await_log(&rig->server, "sink/scripted#2: delivered 0 events");
        kv_test_await_log(&rig->server, "stopped");
    }
    kv_test_program_remove(&rig->server.program);
}

static void second_signal_ends_the_wait_for_a_sink_that_hangs(void **state)
{
    struct rig *rig = *state;
    order(rig, "hang");
    start(rig, "sinks: [{" SCRIPTED "}]\n", "timeouts: {drain: 60s}\n");
    set_number(rig, "k", 1);
    set_number(rig, "k", 2);
    if (hurry(rig, "sink/scripted (2 events)"))
        kv_test_await_log(&rig->server, "dropped 2 events");
    kv_test_program_remove(&rig->server.program);
}

static void second_signal_leaves_a_sink_behind_that_never_returns(void **state)
{
    struct rig *rig = *state;
    order(rig, "stuck");
    start(rig, "sinks: [{" SCRIPTED "}]\n", "timeouts: {drain: 60s}\n");
    set_number(rig, "k", 1);
    hurry(rig, "sink/scripted (1 event)");
    kv_test_await_log(&rig->server, "does not return");
    kv_test_program_remove(&rig->server.program);
}

static void held_back_writes_do_not_outlast_the_drain_time(void **state)
{
    struct rig *rig = *state;
    struct kv_test_ws ws;
    order(rig, "fail");
    start(rig,
          "sinks: [{" SCRIPTED ", queue: {events: 1}, when_full: block_writes, " QUICKLY "}]\n",
          "timeouts: {drain: 200ms}\n");
    kv_test_ws_open(&ws, rig->server.port);
    for (int i = 0; i < 50; i++)
        kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"k\",\"value\":%d}}", i);
    kv_test_stream_flush(&ws.stream);
    kv_test_sleep_ms(50);
    stop(rig, "delivered 0 events");
    kv_test_ws_close(&ws);
}

/* ---- the file ---- */

static void file_rotates_by_size_and_keeps_the_configured_number(void **state)
{
    struct rig *rig = *state;
    size_t n = 0;
    start(rig, "sinks: [{module: file, options: {path: '%s/out', max_bytes: 1000, keep: 2}}]\n",
          "");
    for (int i = 0; i < 60; i++)
        set_number(rig, "k", i);
    stop(rig, "delivered 60 events");
    for (int i = 2; i >= 0; i--) {
        char name[16];
        snprintf(name, sizeof(name), i == 0 ? "out" : "out.%d", i);
        read_lines(rig, name);
        assert_true(rig->n_lines > 0);
        struct kv_buffer text = {0};
        char *path = kv_test_path(rig->folder, name);
        kv_test_file_read(path, &text);
        assert_true(text.len <= 1000);
        kv_buffer_fini(&text);
        free(path);
        for (size_t k = 0; k < rig->n_lines; k++)
            assert_string_equal(rig->lines[k] + strlen(rig->lines[k]) - 3, "Z\"}");
        n += rig->n_lines;
    }
    kv_test_expect_part(rig->lines[rig->n_lines - 1], "\"value\":59,");
    assert_true(n < 60);
    read_lines(rig, "out.3");
    assert_int_equal(rig->n_lines, 0);
}

static void sighup_reopens_the_file(void **state)
{
    struct rig *rig = *state;
    start(rig, "sinks: [{module: file, options: {path: '%s/out', sync: batch}}]\n", "");
    set_number(rig, "k", 1);
    await_lines(rig, "out", 1);
    char *from = kv_test_path(rig->folder, "out"), *to = kv_test_path(rig->folder, "moved");
    assert_int_equal(rename(from, to), 0);
    set_number(rig, "k", 2);
    await_lines(rig, "moved", 2);
    kill(rig->server.program.pid, SIGHUP);
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    for (int i = 3; access(from, F_OK) != 0; i++) {
        set_number(rig, "k", i);
        assert_true(kv_test_now_ms() < until_ms);
    }
    free(from);
    free(to);
    stop(rig, "dropped 0 events");
}

static void line_truncated_by_a_crash_is_ended(void **state)
{
    struct rig *rig = *state;
    kv_test_file_put(rig->folder, "out", "{\"id\":\"1\"}\n{\"id\":\"2\",\"ty");
    start(rig, "sinks: [{module: file, options: {path: '%s/out'}}]\n", "");
    set_number(rig, "k", 1);
    await_lines(rig, "out", 3);
    assert_string_equal(rig->lines[1], "{\"id\":\"2\",\"ty");
    kv_test_expect_part(rig->lines[2], "\"value\":1,");
    stop(rig, "");
}

static void event_longer_than_any_file_is_dropped_alone(void **state)
{
    struct rig *rig = *state;
    const struct rlimit limit = {20000, 20000};
    if (kv_test_uses_store("rocksdb"))
        skip(); /* its own files would be limited, too */
    char *letters = kv_test_letters('x', 30000);
    letters[0] = letters[29999] = '"';
    start(rig, "sinks: [{module: file, options: {path: '%s/out'}, " QUICKLY "}]\n", "");
    assert_int_equal(prlimit(rig->server.program.pid, RLIMIT_FSIZE, &limit, NULL), 0);
    kv_test_store(rig->server.port, "k", letters);
    for (int i = 0; i < 5; i++)
        set_number(rig, "k", i);
    await_lines(rig, "out", 5);
    expect_numbers(rig, 0, 5);
    free(letters);
    kv_test_await_log(&rig->server, "cannot be written: File too large");
    stop(rig, "delivered 5 events");
}

/* A start wants it to be there. */
static void events_wait_for_a_missing_folder(void **state)
{
    struct rig *rig = *state;
    char *path = kv_test_path(rig->folder, "deep");
    assert_int_equal(mkdir(path, 0700), 0);
    start(rig, "sinks: [{module: file, options: {path: '%s/deep/out'}, " QUICKLY "}]\n", "");
    assert_int_equal(rmdir(path), 0);
    set_number(rig, "k", 1);
    kv_test_await_log(&rig->server, "cannot be opened");
    assert_int_equal(mkdir(path, 0700), 0);
    await_lines(rig, "deep/out", 1);
    free(path);
    stop(rig, "cannot be opened: No such file or directory");
}

/* ---- the configuration ---- */

static void expect_refused(const char *sinks, const char *part)
{
    static const char number[] = {'3', '9', '9', '9', ' '};
    struct kv_test_outcome outcome;
    char *yaml = kv_test_yaml(sinks);
    char *port = strstr(yaml, "%port");
    memcpy(port, number, sizeof(number));
    kv_test_program_run_with_file("--check-config", yaml, &outcome);
    assert_int_not_equal(outcome.exit_code, 0);
    kv_test_expect_part(outcome.err, part);
    kv_test_outcome_fini(&outcome);
    free(yaml);
}

static void faults_of_scripts_and_sinks_are_reported_with_their_place(void **state)
{
    (void)state;
    expect_refused("sinks:\n  - {module: file}\n", "sinks[0].options.path: required");
    expect_refused("sinks:\n  - {module: nothing}\n", "no sink module \"nothing\"");
    expect_refused("sinks:\n  - {module: file, options: {path: x}, events: [sett]}\n",
                   "sinks[0].events[0]");
    expect_refused("sinks:\n  - module: scripted\n    options: {orders: refuse, output: x}\n",
                   "sink/scripted: orders: as you like");
    expect_refused("sinks:\n  - {module: file, options: {path: x}, when_full: wait}\n",
                   "sinks[0].when_full");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_change_is_one_complete_line),
        TEST(expiry_is_delivered_once_with_the_last_value),
        TEST(writes_that_change_nothing_are_not_delivered),
        TEST(sink_gets_only_its_prefixes_and_types),
        TEST(import_is_not_delivered),
        TEST(nothing_is_lost_or_duplicated_while_a_sink_fails),
        TEST(oldest_are_dropped_and_counted_when_there_is_no_room),
        TEST(queue_is_bounded_by_bytes_too),
        TEST(event_is_given_up_after_the_configured_time),
        TEST(always_refused_event_is_dropped_alone),
        TEST(many_drops_are_few_lines),
        TEST(events_that_a_sink_gives_up_count_as_dropped),
        TEST(full_queue_holds_back_only_writes),
        TEST(keys_do_not_expire_while_writes_are_held_back),
        TEST(waiting_events_are_delivered_at_the_end),
        TEST(sink_that_fails_to_the_end_costs_the_drain_time),
        TEST(hanging_sink_is_told_to_end),
        TEST(sink_that_never_returns_is_left_behind),
        TEST(second_signal_ends_the_wait_for_sinks),
        TEST(second_signal_ends_the_wait_for_a_sink_that_hangs),
        TEST(second_signal_leaves_a_sink_behind_that_never_returns),
        TEST(held_back_writes_do_not_outlast_the_drain_time),
        TEST(file_rotates_by_size_and_keeps_the_configured_number),
        TEST(sighup_reopens_the_file),
        TEST(line_truncated_by_a_crash_is_ended),
        TEST(event_longer_than_any_file_is_dropped_alone),
        TEST(events_wait_for_a_missing_folder),
        TEST(faults_of_scripts_and_sinks_are_reported_with_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
