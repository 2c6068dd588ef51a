/*
 * No request of a client blocks an event loop for long: while long texts are sent and received,
 * clients of every loop are served all the time. The measure is the processor time that a loop uses
 * until a probe is answered; waiting for a processor depends on the machine.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/fork.h"

enum {
    MIB = 1 << 20,
    LONG = (64 * MIB) / KV_TEST_SHARE,
    MIDDLE = 900000 / KV_TEST_SHARE,
    PROBES = 8, /* connections: some of them on the loop in question */
    ROUNDS = 3, /* the best counts: a probe may have to wait for many short turns */
    LATEST_US = KV_TEST_SHARE == 1 ? 50000 : 1000000,
};

/* ---- texts ---- */

/* head, a string of `len` letters, tail. Owns: the caller. */
static struct kv_buffer text_of(const char *head, char letter, size_t len, const char *tail)
{
    struct kv_buffer text = {0};
    char *letters = kv_test_letters(letter, len);
    kv_buffer_append(&text, kv_slice_of(head));
    kv_buffer_append_char(&text, '"');
    kv_buffer_append(&text, (struct kv_slice){letters, len});
    kv_buffer_append_char(&text, '"');
    kv_buffer_append(&text, kv_slice_of(tail));
    free(letters);
    return text;
}

static struct kv_buffer request_of(const char *method, const char *path, const char *headers,
                                   struct kv_buffer *body)
{
    struct kv_buffer request = {0};
    kv_test_http_write(&request, method, kv_slice_of(path), headers, kv_buffer_slice(body));
    kv_buffer_fini(body);
    return request;
}

static void store(void **state, const char *key, const char *value)
{
    kv_test_store(kv_test_port(state), key, value);
}

static void store_long(void **state, const char *key)
{
    struct kv_buffer value = text_of("{\"n\":", 'v', LONG, "}");
    kv_buffer_append_char(&value, '\0');
    store(state, key, value.bytes);
    kv_buffer_fini(&value);
}

/* ---- the other client ---- */

struct used {
    int64_t us[2];
};

static struct used used_by_loops(const struct kv_test_server *server)
{
    return (struct used){{kv_test_program_used_us(&server->program, "loop 0"),
                          kv_test_program_used_us(&server->program, "loop 1")}};
}

/* Asks on all connections at once. Returns: how long a loop worked until all were answered. */
static int64_t probe(const struct kv_test_server *server, struct kv_test_stream streams[PROBES],
                     struct kv_test_response *response)
{
    struct used before = used_by_loops(server);
    for (int i = 0; i < PROBES; i++) {
        kv_test_http_write(&streams[i].out, "GET", KV_SLICE("/storage/probe"), NULL,
                           (struct kv_slice){0});
        kv_test_stream_flush(&streams[i]);
    }
    for (int i = 0; i < PROBES; i++) {
        assert_true(kv_test_http_receive(&streams[i], response));
        assert_int_equal(response->status, 200);
    }
    struct used after = used_by_loops(server);
    int64_t first_us = after.us[0] - before.us[0], second_us = after.us[1] - before.us[1];
    return first_us > second_us ? first_us : second_us;
}

/* Probes until the process has ended, which must have been content. Returns: how long a
 * loop worked until it answered, at the most. */
static int64_t probe_until_end(const struct kv_test_server *server, pid_t process)
{
    struct kv_test_stream streams[PROBES];
    struct kv_test_response response = {0};
    int64_t slowest_us = 0;
    int status = 0;
    for (int i = 0; i < PROBES; i++)
        kv_test_stream_open(&streams[i], server->port);
    while (waitpid(process, &status, WNOHANG) == 0) {
        int64_t took_us = probe(server, streams, &response);
        slowest_us = took_us > slowest_us ? took_us : slowest_us;
        kv_test_sleep_ms(2);
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    kv_test_response_fini(&response);
    for (int i = 0; i < PROBES; i++)
        kv_test_stream_close(&streams[i]);
    return slowest_us;
}

/* In a process of its own, sends what is to be sent and reads answers of that many bytes. */
static void be_asker(struct kv_test_stream *stream, struct kv_slice text, size_t answer_len)
{
    size_t got = 0;
    kv_test_stream_put(stream, text);
    while (got < answer_len && !stream->is_ended) {
        kv_test_stream_turn(&stream, 1, KV_TEST_LIMIT_MS);
        size_t len = kv_test_stream_unread(stream).len;
        kv_test_stream_use(stream, len);
        got += len;
    }
    _exit(got >= answer_len ? EXIT_SUCCESS : EXIT_FAILURE);
}

static int64_t ask_and_probe(const struct kv_test_server *server, struct kv_slice text,
                             size_t answer_len, bool is_websocket)
{
    struct kv_test_ws ws = {.mask = 0x55aa55aa};
    kv_test_stream_open(&ws.stream, server->port);
    if (is_websocket)
        kv_test_ws_upgrade(&ws);
    pid_t process = kv_test_fork();
    if (process == 0)
        be_asker(&ws.stream, text, answer_len);
    assert_true(process > 0);
    kv_test_stream_close(&ws.stream);
    return probe_until_end(server, process);
}

/* text: taken over; answer_len: what is answered at the least. */
static void expect_no_hold(void **state, struct kv_buffer *text, size_t answer_len,
                           bool is_websocket)
{
    int64_t best_us = INT64_MAX;
    store(state, "probe", "1");
    for (int i = 0; i < ROUNDS && best_us > LATEST_US; i++) {
        int64_t slowest_us = ask_and_probe(*state, kv_buffer_slice(text), answer_len, is_websocket);
        print_message("a loop worked for %.1f ms at most until it answered\n",
                      (double)slowest_us / 1000);
        best_us = slowest_us < best_us ? slowest_us : best_us;
    }
    assert_in_range(best_us, 0, LATEST_US);
    kv_buffer_fini(text);
}

static void ask_over_http(void **state, struct kv_buffer *request, size_t answer_len)
{
    expect_no_hold(state, request, answer_len, false);
}

/* message: taken over; a question behind it is answered when it is done. */
static void ask_over_websocket(void **state, struct kv_buffer *message, size_t answer_len)
{
    struct kv_test_ws ws = {.mask = 0x55aa55aa};
    kv_test_ws_put(&ws, kv_buffer_slice(message));
    kv_test_ws_put_text(&ws, "{\"type\":\"get\",\"id\":1,\"payload\":{\"key\":\"probe\"}}");
    kv_buffer_fini(message);
    expect_no_hold(state, &ws.stream.out, answer_len, true);
}

/* ---- writes ---- */

static void long_body_blocks_no_loop(void **state)
{
    struct kv_buffer body = text_of("{\"value\":", 'b', LONG, "}");
    struct kv_buffer request = request_of("PUT", "/storage/body", NULL, &body);
    ask_over_http(state, &request, 1);
}

static void long_message_blocks_no_loop(void **state)
{
    struct kv_buffer message =
        text_of("{\"type\":\"set\",\"payload\":{\"key\":\"message\",\"value\":", 'm', LONG, "}}");
    ask_over_websocket(state, &message, 1);
}

static void batch_of_long_values_blocks_no_loop(void **state)
{
    enum {
        MESSAGES = 200
    };
    struct kv_buffer body = {0};
    for (int i = 0; i < MESSAGES; i++) {
        char head[80];
        snprintf(head, sizeof(head),
                 "%c{\"type\":\"set\",\"payload\":{\"key\":\"part-%d\",\"value\":",
                 i == 0 ? '[' : ',', i);
        struct kv_buffer message = text_of(head, 'p', MIDDLE, "}}");
        kv_buffer_append(&body, kv_buffer_slice(&message));
        kv_buffer_fini(&message);
    }
    kv_buffer_append_char(&body, ']');
    struct kv_buffer request = request_of("POST", "/batch", NULL, &body);
    ask_over_http(state, &request, MESSAGES * 4);
}

static void merge_into_long_value_blocks_no_loop(void **state)
{
    struct kv_buffer body = {0};
    store_long(state, "merged");
    kv_buffer_append(&body, KV_SLICE("{\"x\":1}"));
    struct kv_buffer request = request_of("PATCH", "/storage/merged",
                                          "Content-Type: application/merge-patch+json\r\n", &body);
    ask_over_http(state, &request, LONG);
}

/* ---- reads ---- */

static void reading_a_long_value_blocks_no_loop(void **state)
{
    struct kv_buffer request = {0};
    store_long(state, "read");
    kv_test_http_write(&request, "GET", KV_SLICE("/storage/read"), NULL, (struct kv_slice){0});
    ask_over_http(state, &request, LONG);
}

static void long_value_in_a_batch_blocks_no_loop(void **state)
{
    struct kv_buffer body = {0};
    store_long(state, "read");
    kv_buffer_append(&body, KV_SLICE("[{\"type\":\"get\",\"payload\":{\"key\":\"read\"}},"
                                     "{\"type\":\"get\",\"payload\":{\"key\":\"probe\"}}]"));
    struct kv_buffer request = request_of("POST", "/batch", NULL, &body);
    ask_over_http(state, &request, LONG);
}

enum {
    PAGED = 200,
    PAGED_VALUE = 80000 / KV_TEST_SHARE
};

static void store_pages(void **state)
{
    struct kv_buffer value = text_of("", 'v', PAGED_VALUE, "");
    kv_buffer_append_char(&value, '\0');
    for (int i = 0; i < PAGED; i++) {
        char key[16];
        snprintf(key, sizeof(key), "paged-%d", i);
        store(state, key, value.bytes);
    }
    kv_buffer_fini(&value);
}

static void long_page_blocks_no_loop(void **state)
{
    struct kv_buffer request = {0};
    store_pages(state);
    kv_test_http_write(&request, "GET", KV_SLICE("/storage?prefix=paged-&values=true&limit=1000"),
                       NULL, (struct kv_slice){0});
    ask_over_http(state, &request, (size_t)PAGED * PAGED_VALUE);
}

static void initial_state_of_a_prefix_blocks_no_loop(void **state)
{
    struct kv_buffer message = {0};
    store_pages(state);
    kv_buffer_append(&message,
                     KV_SLICE("{\"type\":\"subscribe\",\"payload\":{\"prefix\":\"paged-\","
                              "\"initial\":true}}"));
    ask_over_websocket(state, &message, (size_t)PAGED * PAGED_VALUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_body_blocks_no_loop),
        cmocka_unit_test(long_message_blocks_no_loop),
        cmocka_unit_test(batch_of_long_values_blocks_no_loop),
        cmocka_unit_test(merge_into_long_value_blocks_no_loop),
        cmocka_unit_test(reading_a_long_value_blocks_no_loop),
        cmocka_unit_test(long_value_in_a_batch_blocks_no_loop),
        cmocka_unit_test(long_page_blocks_no_loop),
        cmocka_unit_test(initial_state_of_a_prefix_blocks_no_loop),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
