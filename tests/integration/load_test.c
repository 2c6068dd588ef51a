/*
 * Many keys, many connections, much traffic: the guarantees hold, nothing leaks, and one client's
 * load does not affect others. The figures that a test prints are for information; its assertions
 * are generous enough for a machine busy with other tests.
 *
 * A build with sanitizers uses a fraction of the numbers (KV_TEST_SHARE).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fixture.h"

enum {
    EXPIRIES = 20000 / KV_TEST_SHARE,
    EXPIRY_WINDOW_MS = 3000,
    AT_ONCE = 100000 / KV_TEST_SHARE,
    CHANGES = 200000 / KV_TEST_SHARE,
    HALF_OPEN = 1000 / KV_TEST_SHARE,
    IDLE = 10000 / KV_TEST_SHARE,
    CHURN = 50000 / KV_TEST_SHARE,
    FRAGMENTS = 1000000 / KV_TEST_SHARE,
    KEYS_A_SUBSCRIBER = 5000,
    PATIENCE_US = 500000, /* of a busy machine, for what takes milliseconds */
    BATCH = 64,
    AHEAD = 500,
};

/* A memory checker's own memory is none of the server's. */
static const bool memory_is_ours = KV_TEST_SHARE == 1;

/* ---- the server from outside ---- */

static void await_descriptors(const struct kv_test_server *server, size_t at_most)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    while (kv_test_program_descriptors(&server->program) > at_most) {
        assert_true(kv_test_now_ms() < until_ms);
        kv_test_sleep_ms(5);
    }
}

static int by_time(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a;
    int64_t other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

static int64_t percentile(int64_t *times, size_t n, double share)
{
    qsort(times, n, sizeof(*times), by_time);
    return times[(size_t)((double)(n - 1) * share)];
}

static void turn(struct kv_test_ws *const sockets[], size_t n)
{
    struct kv_test_stream *streams[KV_TEST_MAX_STREAMS];
    for (size_t i = 0; i < n; i++)
        streams[i] = &sockets[i]->stream;
    assert_true(kv_test_stream_turn(streams, n, KV_TEST_LIMIT_MS));
}

/* The number behind the mark in a text frame; -1 where there is none. */
static int number_behind(const struct kv_test_frame *frame, const char *mark)
{
    const char *at = memmem(frame->payload.bytes, frame->payload.len, mark, strlen(mark));
    return at == NULL ? -1 : atoi(at + strlen(mark));
}

/* ---- expiry ---- */

enum {
    N_SUBSCRIBERS = (EXPIRIES + KEYS_A_SUBSCRIBER - 1) / KEYS_A_SUBSCRIBER
};

struct expiries {
    struct kv_test_ws writer;
    struct kv_test_ws subscribers[N_SUBSCRIBERS];
    int64_t deadline_us[EXPIRIES]; /* the earliest: its set, sent, plus its TTL */
    int64_t late_us[EXPIRIES];
    bool is_told[EXPIRIES];
    size_t n_told;
};

static void subscribe_to_all(struct expiries *all, uint16_t port)
{
    for (int i = 0; i < EXPIRIES; i++) {
        struct kv_test_ws *one = &all->subscribers[i / KEYS_A_SUBSCRIBER];
        if (i % KEYS_A_SUBSCRIBER == 0)
            kv_test_ws_open(one, port);
        kv_test_ws_put_text(one, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"due-%d\"}}", i);
    }
    for (int i = 0; i < N_SUBSCRIBERS; i++)
        kv_test_ws_expect_nothing(&all->subscribers[i]);
    kv_test_ws_open(&all->writer, port);
}

/* All deadlines lie in the window that begins a second from now. */
static void set_all(struct expiries *all)
{
    int64_t start_us = kv_test_now_us() + 1000000;
    for (int i = 0; i < EXPIRIES; i++) {
        int64_t due_us = start_us + (int64_t)i * EXPIRY_WINDOW_MS * 1000 / EXPIRIES;
        int64_t now_us = kv_test_now_us();
        int ttl = (int)((due_us - now_us) / 1000);
        all->deadline_us[i] = now_us + (int64_t)ttl * 1000;
        kv_test_ws_put_text(&all->writer,
                            "{\"type\":\"set\",\"payload\":{\"key\":\"due-%d\",\"value\":1,"
                            "\"ttl\":%d}}",
                            i, ttl);
        if (i % BATCH == BATCH - 1) /* not to be ahead of the server: TTLs count from its time */
            kv_test_ws_expect_nothing(&all->writer);
    }
    kv_test_stream_flush(&all->writer.stream);
}

static void take_expiries(struct expiries *all, struct kv_test_ws *ws)
{
    struct kv_test_frame frame;
    int64_t now_us = kv_test_now_us();
    while (kv_test_ws_take(ws, &frame)) {
        if (!kv_slice_has_prefix(frame.payload, KV_SLICE("{\"type\":\"no-value\"")))
            continue;
        int key = number_behind(&frame, "\"due-");
        assert_in_range(key, 0, EXPIRIES - 1);
        assert_false(all->is_told[key]);
        all->is_told[key] = true;
        all->late_us[all->n_told++] = now_us - all->deadline_us[key];
    }
}

static void each_of_many_expiries_is_notified_once_and_on_time(void **state)
{
    struct expiries *all = kv_calloc(1, sizeof(*all));
    struct kv_test_ws *sockets[N_SUBSCRIBERS];
    subscribe_to_all(all, kv_test_port(state));
    set_all(all);
    for (int i = 0; i < N_SUBSCRIBERS; i++)
        sockets[i] = &all->subscribers[i];
    while (all->n_told < EXPIRIES) {
        turn(sockets, N_SUBSCRIBERS);
        for (int i = 0; i < N_SUBSCRIBERS; i++)
            take_expiries(all, sockets[i]);
    }
    int64_t p50 = percentile(all->late_us, EXPIRIES, 0.5);
    int64_t p99 = percentile(all->late_us, EXPIRIES, 0.99);
    print_message("%d expiries in %d ms: told after p50 %.1f, p99 %.1f, at most %.1f ms\n",
                  EXPIRIES, EXPIRY_WINDOW_MS, (double)p50 / 1e3, (double)p99 / 1e3,
                  (double)all->late_us[EXPIRIES - 1] / 1e3);
    assert_true(p99 < PATIENCE_US);
    for (int i = 0; i < N_SUBSCRIBERS; i++) {
        kv_test_ws_expect_nothing(sockets[i]);
        kv_test_ws_close(sockets[i]);
    }
    kv_test_ws_close(&all->writer);
    free(all);
}

/* Sets keys that are all due at `due_us`, or within some milliseconds of it. */
static void set_for(struct kv_test_ws *writer, int64_t due_us)
{
    for (int i = 0; i < AT_ONCE; i++) {
        int ttl = (int)((due_us - kv_test_now_us()) / 1000);
        kv_test_ws_put_text(writer,
                            "{\"type\":\"set\",\"payload\":{\"key\":\"once-%d\",\"value\":1,"
                            "\"ttl\":%d}}",
                            i, ttl < 1 ? 1 : ttl);
        if (i % BATCH == 0)
            kv_test_stream_flush(&writer->stream);
    }
    kv_test_ws_expect_nothing(writer);
}

static int64_t time_of_a_get(struct kv_test_ws *reader)
{
    int64_t begin_us = kv_test_now_us();
    kv_test_ws_expect_nothing(reader); /* a get and its answer */
    return kv_test_now_us() - begin_us;
}

static void reader_is_served_while_many_keys_expire_in_one_instant(void **state)
{
    enum {
        LEAD_US = 2000000,
        AFTER_US = 1000000,
        MOST_GETS = 200000
    };
    static int64_t times[MOST_GETS];
    struct kv_test_ws writer, reader;
    kv_test_ws_open(&writer, kv_test_port(state));
    kv_test_ws_open(&reader, kv_test_port(state));
    int64_t due_us = kv_test_now_us() + LEAD_US * (KV_TEST_SHARE > 1 ? 3 : 1);
    set_for(&writer, due_us);
    if (kv_test_now_us() >= due_us)
        kv_test_skip_for("the machine is too busy to set the keys in time");
    size_t n = 0;
    while (kv_test_now_us() < due_us)
        kv_test_sleep_ms(1);
    do
        times[n++] = time_of_a_get(&reader);
    while (kv_test_now_us() < due_us + AFTER_US && n < MOST_GETS);
    int64_t p99 = percentile(times, n, 0.99);
    print_message("%d keys at once: of %zu gets meanwhile, p99 took %.2f ms, the slowest %.2f ms\n",
                  AT_ONCE, n, (double)p99 / 1e3, (double)times[n - 1] / 1e3);
    assert_true(p99 < PATIENCE_US);
    kv_test_expect_missing(kv_test_port(state), "once-0");
    kv_test_ws_close(&writer);
    kv_test_ws_close(&reader);
}

/* ---- a subscriber that never reads ---- */

static int take_changes(struct kv_test_ws *ws, int last)
{
    struct kv_test_frame frame;
    while (kv_test_ws_take(ws, &frame)) {
        int number = number_behind(&frame, "\"value\":[");
        if (number < 0)
            continue;
        assert_true(number > last);
        last = number;
    }
    return last;
}

/* Not further ahead of the subscriber that reads than it takes: the memory is the other one's. */
static void put_changes(struct kv_test_ws *writer, int *n_sent, int n_read, const char *filler)
{
    while (*n_sent < CHANGES && *n_sent < n_read + AHEAD)
        kv_test_ws_put_text(
            writer, "{\"type\":\"set\",\"payload\":{\"key\":\"busy\",\"value\":[%d,\"%s\"]}}",
            ++*n_sent, filler);
}

static void subscriber_that_never_reads_costs_only_its_limit(void **state)
{
    struct kv_test_server *server = *state;
    struct kv_test_ws writer, reader, slow;
    char *filler = kv_test_letters('f', 1024);
    kv_test_ws_open(&writer, server->port);
    kv_test_ws_open(&reader, server->port);
    kv_test_ws_open(&slow, server->port);
    struct kv_test_ws *const subscribers[] = {&reader, &slow};
    for (int i = 0; i < 2; i++) {
        kv_test_ws_send_text(subscribers[i],
                             "{\"type\":\"subscribe\",\"payload\":{\"key\":\"busy\"}}");
        kv_test_ws_expect_nothing(subscribers[i]);
    }
    slow.stream.is_paused = true;
    size_t before = kv_test_program_resident(&server->program), most = 0;
    struct kv_test_ws *const both[] = {&writer, &reader};
    for (int n_sent = 0, last = 0; last < CHANGES;) {
        put_changes(&writer, &n_sent, last, filler);
        turn(both, 2);
        last = take_changes(&reader, last);
        size_t now = kv_test_program_resident(&server->program);
        most = now > most ? now : most;
    }
    print_message("%d changes of 1 KiB: memory grew by %.1f MiB\n", CHANGES,
                  (double)(most - before) / (1 << 20));
    if (memory_is_ours)
        assert_true(most - before < 64 << 20);
    slow.stream.is_paused = false;
    for (int last = 0; last < CHANGES; last = take_changes(&slow, last))
        kv_test_stream_wait(&slow.stream);
    kv_test_ws_close(&writer);
    kv_test_ws_close(&reader);
    kv_test_ws_close(&slow);
    free(filler);
}

/* ---- fragments ---- */

static void fragments_of_one_byte_cost_what_they_hold(void **state)
{
    struct kv_test_server *server = *state;
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, server->port);
    size_t before = kv_test_program_resident(&server->program), most = 0;
    kv_test_ws_put_frame(&ws, KV_TEST_WS_TEXT,
                         KV_SLICE("{\"type\":\"get\",\"payload\":{\"key\":\"f\"}"));
    for (int i = 0; i < FRAGMENTS; i++) {
        kv_test_ws_put_frame(&ws, KV_TEST_WS_CONTINUATION, KV_SLICE(" "));
        if (i % 10000 == 9999) {
            kv_test_stream_flush(&ws.stream);
            size_t now = kv_test_program_resident(&server->program);
            most = now > most ? now : most;
        }
    }
    kv_test_ws_send_frame(&ws, KV_TEST_WS_FINAL | KV_TEST_WS_CONTINUATION, KV_SLICE("}"));
    kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"f\"}}");
    kv_test_ws_close(&ws);
    print_message("%d fragments: memory grew by %.1f MiB\n", FRAGMENTS,
                  most < before ? 0.0 : (double)(most - before) / (1 << 20));
    if (memory_is_ours)
        assert_true(most < before + (16 << 20));
}

/* ---- long bodies ---- */

enum {
    READERS = 8, /* some are on the loop of the writer */
    BODY_BYTES = (64 << 20) / KV_TEST_SHARE
};

/* A value that takes long to scan. */
static void append_objects(struct kv_buffer *out, size_t len)
{
    kv_buffer_printf(out, "{\"value\":[0");
    while (out->len < len)
        kv_buffer_append(out, KV_SLICE(",{\"a\":[{}]}"));
    kv_buffer_printf(out, "]}");
}

/* Returns: how long the slowest get took meanwhile. */
static int64_t read_while_a_body_comes(struct kv_test_ws readers[READERS], uint16_t port,
                                       struct kv_slice body)
{
    struct kv_test_stream writer;
    struct kv_test_response response = {0};
    struct kv_test_stream *stream = &writer;
    int64_t slowest_us = 0;
    kv_test_stream_open(&writer, port);
    kv_test_http_write(&writer.out, "PUT", KV_SLICE("/storage/large"), NULL, body);
    for (int i = 0; writer.in.len == 0; i = (i + 1) % READERS) {
        kv_test_stream_turn(&stream, 1, 0);
        int64_t took_us = time_of_a_get(&readers[i]);
        slowest_us = took_us > slowest_us ? took_us : slowest_us;
    }
    assert_true(kv_test_http_receive(&writer, &response));
    assert_int_equal(response.status, 202);
    kv_test_stream_close(&writer);
    kv_test_response_fini(&response);
    return slowest_us;
}

/* The latency of gets on this machine without writers. Returns: the time of the slowest one. */
static int64_t read_while_nothing_comes(struct kv_test_ws readers[READERS])
{
    int64_t slowest_us = 0;
    int64_t end_us = kv_test_now_us() + 500000;
    for (int i = 0; kv_test_now_us() < end_us; i = (i + 1) % READERS) {
        int64_t took_us = time_of_a_get(&readers[i]);
        slowest_us = took_us > slowest_us ? took_us : slowest_us;
    }
    return slowest_us;
}

/* A busy machine gets further tries; a loop that is held up is so every time. */
static void others_are_served_while_a_long_body_is_read(void **state)
{
    enum {
        TRIES = 3
    };
    static struct kv_test_ws readers[READERS];
    struct kv_buffer body = {0};
    int64_t slowest_us = INT64_MAX, patience_us = 0;
    append_objects(&body, BODY_BYTES);
    for (int i = 0; i < READERS; i++)
        kv_test_ws_open(&readers[i], kv_test_port(state));
    for (int i = 0; i < TRIES && slowest_us >= patience_us; i++) {
        patience_us = PATIENCE_US + 2 * read_while_nothing_comes(readers);
        slowest_us = read_while_a_body_comes(readers, kv_test_port(state), kv_buffer_slice(&body));
        print_message("a body of %d MiB: the slowest get meanwhile took %.1f ms of %.1f\n",
                      BODY_BYTES >> 20, (double)slowest_us / 1e3, (double)patience_us / 1e3);
    }
    assert_true(slowest_us < patience_us);
    for (int i = 0; i < READERS; i++)
        kv_test_ws_close(&readers[i]);
    kv_buffer_fini(&body);
}

/* ---- connections ---- */

static void allow_many_descriptors(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < IDLE + 100) {
        print_message("skipped: this system lets a process open %ju files only\n",
                      (uintmax_t)limit.rlim_cur);
        skip();
    }
}

static void half_open_requests_delay_nobody_and_are_cut(void **state)
{
    static struct kv_test_stream streams[HALF_OPEN];
    struct kv_test_server *server = *state;
    size_t before = kv_test_program_descriptors(&server->program);
    for (int i = 0; i < HALF_OPEN; i++) {
        kv_test_stream_open(&streams[i], server->port);
        kv_test_stream_put(&streams[i], i % 2 == 0
                                            ? KV_SLICE("POST /storage/half HTTP/1.1\r\nHost: x\r\n"
                                                       "Content-Length: 100\r\n\r\n{\"value\":")
                                            : KV_SLICE("GET /storage/half HTTP/1.1\r\nHo"));
        kv_test_stream_flush(&streams[i]);
    }
    kv_test_store(server->port, "whole", "1");
    kv_test_expect_value(server->port, "whole", "1");
    for (int i = 0; i < HALF_OPEN; i++) {
        kv_test_stream_await_end(&streams[i]);
        kv_test_stream_close(&streams[i]);
    }
    await_descriptors(server, before);
    kv_test_expect_missing(server->port, "half");
}

static void idle_websockets_cost_little_and_leave_nothing(void **state)
{
    static struct kv_test_ws sockets[IDLE];
    struct kv_test_server *server = *state;
    allow_many_descriptors();
    size_t descriptors = kv_test_program_descriptors(&server->program);
    size_t before = kv_test_program_resident(&server->program);
    for (int i = 0; i < IDLE; i++)
        kv_test_ws_open(&sockets[i], server->port);
    size_t each = (kv_test_program_resident(&server->program) - before) / IDLE;
    print_message("%d idle WebSockets: %zu bytes of the server's memory each\n", IDLE, each);
    if (memory_is_ours)
        assert_true(each < 16384);
    kv_test_store(server->port, "meanwhile", "1");
    kv_test_ws_send_text(&sockets[IDLE / 2],
                         "{\"type\":\"get\",\"payload\":{\"key\":\"meanwhile\"}}");
    kv_test_ws_expect(&sockets[IDLE / 2],
                      "{\"type\":\"value\",\"payload\":{\"key\":\"meanwhile\",\"value\":1}}");
    for (int i = 0; i < IDLE; i++)
        kv_test_ws_close(&sockets[i]);
    await_descriptors(server, descriptors);
}

/* One connection that ends in one of several ways; most are reset, which also keeps the system from
 * running out of ports. */
static void come_and_go(uint16_t port, int i)
{
    const struct kv_slice beginnings[] = {
        {"", 0},
        KV_SLICE("GET /storage/churn HTTP/1.1\r\nHost: x\r\n\r\n"),
        KV_SLICE("POST /storage/churn HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{"),
        KV_SLICE("GET /ws HTTP/1.1\r\nHost: x\r\n" KV_TEST_WS_UPGRADE "\r\n\x81\xfe"),
    };
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, port);
    kv_test_stream_put(&stream, beginnings[i % 4]);
    kv_test_stream_flush(&stream);
    if (i % 8 < 4)
        setsockopt(stream.fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
                   sizeof(struct linger));
    if (i % 16 == 1)
        assert_true(kv_test_stream_await(&stream, 1));
    kv_test_stream_close(&stream);
}

static void short_lived_connections_leave_nothing_behind(void **state)
{
    struct kv_test_server *server = *state;
    size_t descriptors = kv_test_program_descriptors(&server->program);
    for (int i = 0; i < CHURN / 5; i++)
        come_and_go(server->port, i);
    await_descriptors(server, descriptors);
    size_t before = kv_test_program_resident(&server->program);
    for (int i = 0; i < CHURN; i++)
        come_and_go(server->port, i);
    await_descriptors(server, descriptors);
    size_t after = kv_test_program_resident(&server->program);
    print_message("%d connections: memory went from %.1f to %.1f MiB\n", CHURN,
                  (double)before / (1 << 20), (double)after / (1 << 20));
    if (memory_is_ours)
        assert_true(after < before + (8 << 20));
    kv_test_store(server->port, "churn", "1");
    kv_test_expect_value(server->port, "churn", "1");
}

/* ---- the end under load ---- */

enum {
    CLIENTS = 16,
    MESSAGES = 4000 / KV_TEST_SHARE
};

static void put_requests(struct kv_test_ws *client, bool is_http)
{
    for (int i = 0; i < MESSAGES; i++)
        if (is_http)
            kv_test_http_write(&client->stream.out, "POST", KV_SLICE("/storage/load"), NULL,
                               KV_SLICE("{\"value\":1}"));
        else
            kv_test_ws_put_text(client,
                                "{\"type\":\"set\",\"id\":%d,\"payload\":{\"key\":\"load\","
                                "\"value\":%d}}",
                                i, i);
}

/* Whole responses, then the end of the connection. */
static int count_http(struct kv_test_ws *client)
{
    struct kv_test_response response = {0};
    int n = 0;
    while (kv_test_http_receive(&client->stream, &response)) {
        assert_true(response.status == 202 || response.status == 503);
        n++;
    }
    kv_test_response_fini(&response);
    return n;
}

/* Answers without a gap, then a close with 1001. */
static int count_ws(struct kv_test_ws *client)
{
    struct kv_test_frame frame;
    int n = 0;
    while (kv_test_ws_receive(client, &frame) && frame.opcode == KV_TEST_WS_TEXT)
        assert_int_equal(number_behind(&frame, "\"id\":"), n++);
    assert_int_equal(frame.opcode, KV_TEST_WS_CLOSE);
    assert_int_equal(kv_test_ws_close_code(&frame), 1001);
    return n;
}

static void server_ends_in_time_under_load_and_answers_accepted_requests(void **state)
{
    (void)state;
    static struct kv_test_ws clients[CLIENTS];
    struct kv_test_server server;
    struct kv_test_ws *all[CLIENTS];
    kv_test_start(&server, "");
    for (int i = 0; i < CLIENTS; i++) {
        all[i] = &clients[i];
        if (i % 2 == 0)
            kv_test_stream_open(&clients[i].stream, server.port);
        else
            kv_test_ws_open(&clients[i], server.port);
        put_requests(&clients[i], i % 2 == 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        while (kv_test_stream_unread(&clients[i].stream).len == 0)
            turn(all, CLIENTS);
    int64_t begin_ms = kv_test_now_ms();
    kv_test_server_terminate(&server);
    int n = 0;
    for (int i = 0; i < CLIENTS; i++) {
        n += i % 2 == 0 ? count_http(&clients[i]) : count_ws(&clients[i]);
        kv_test_ws_close(&clients[i]);
    }
    kv_test_server_stop_cleanly(&server);
    print_message("%d of %d requests were answered, the end took %jd ms\n", n, CLIENTS * MESSAGES,
                  (intmax_t)(kv_test_now_ms() - begin_ms));
}

static int group_start(void **state)
{
    return kv_test_group_start_with(
        state, "timeouts: {request_progress: 1s, stalled_reader: 10min, idle: 10min}\n"
               "log: {level: error}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_of_many_expiries_is_notified_once_and_on_time),
        cmocka_unit_test(reader_is_served_while_many_keys_expire_in_one_instant),
        cmocka_unit_test(subscriber_that_never_reads_costs_only_its_limit),
        cmocka_unit_test(fragments_of_one_byte_cost_what_they_hold),
        cmocka_unit_test(others_are_served_while_a_long_body_is_read),
        cmocka_unit_test(half_open_requests_delay_nobody_and_are_cut),
        cmocka_unit_test(idle_websockets_cost_little_and_leave_nothing),
        cmocka_unit_test(short_lived_connections_leave_nothing_behind),
        cmocka_unit_test(server_ends_in_time_under_load_and_answers_accepted_requests),
    };
    return cmocka_run_group_tests(tests, group_start, kv_test_group_stop);
}
