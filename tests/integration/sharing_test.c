/*
 * A store whose data others share, behind a connection that may break: how clients see changes made
 * elsewhere, missed changes, and writes with an unknown outcome (support/modules/remote).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/folder.h"
#include "support/client/watcher.h"

enum {
    ROUNDS = 50
};

static void write_number(uint16_t port, const char *order, int key, int value)
{
    char path[64], text[16];
    snprintf(path, sizeof(path), "%snr%d", order, key);
    snprintf(text, sizeof(text), "%d", value);
    kv_test_store(port, path, text);
}

/* Sees what comes, until a message has told so much. */
static void await(struct kv_test_watcher *watcher, size_t n_changes, int n_resets)
{
    for (;;) {
        kv_test_watcher_see(watcher);
        if (watcher->is_synced && watcher->n >= n_changes && watcher->n_resets >= n_resets)
            return;
        assert_true(kv_test_stream_await(&watcher->ws.stream,
                                         kv_test_stream_unread(&watcher->ws.stream).len + 1));
    }
}

static void expect_change(const struct kv_test_watcher *watcher, size_t i, const char *text)
{
    assert_true(i < watcher->n);
    assert_string_equal(watcher->history[i].text, text);
}

static void changes_from_elsewhere_come_in_order_with_others(void **state)
{
    struct kv_test_watcher watcher;
    kv_test_watcher_begin(&watcher, kv_test_port(state), "nr");
    await(&watcher, 0, 0);
    for (int i = 0; i < ROUNDS; i++)
        write_number(kv_test_port(state), i % 2 == 0 ? "elsewhere%2F" : "", i % 3, i + 1);
    await(&watcher, ROUNDS, 0);
    assert_int_equal(watcher.n, ROUNDS);
    for (int i = 0; i < ROUNDS; i++) {
        char text[32];
        snprintf(text, sizeof(text), "%d set %d", i % 3, i + 1);
        expect_change(&watcher, (size_t)i, text);
    }
    assert_int_equal(
        kv_test_http_status(kv_test_port(state), "DELETE", "/storage/elsewhere%2Fnr0", NULL, NULL),
        200);
    await(&watcher, ROUNDS + 1, 0);
    expect_change(&watcher, ROUNDS, "0 del 0");
    kv_test_watcher_end(&watcher);
}

static void changes_from_elsewhere_come_again_with_since(void **state)
{
    struct kv_test_watcher watcher;
    kv_test_watcher_begin(&watcher, kv_test_port(state), "nr");
    await(&watcher, 0, 0);
    write_number(kv_test_port(state), "", 7, 1);
    await(&watcher, 1, 0);
    kv_test_ws_close(&watcher.ws);
    kv_test_ws_open(&watcher.ws, kv_test_port(state));
    write_number(kv_test_port(state), "elsewhere%2F", 7, 2);
    write_number(kv_test_port(state), "", 7, 3);
    kv_test_watcher_resume(&watcher, kv_test_port(state));
    await(&watcher, 3, 0);
    assert_int_equal(watcher.n_resets, 0);
    expect_change(&watcher, 1, "7 set 2");
    expect_change(&watcher, 2, "7 set 3");
    kv_test_watcher_end(&watcher);
}

static void change_before_a_subscription_is_not_told_behind_it(void **state)
{
    static const char *const subjects[] = {"\"key\":\"before\"", "\"prefix\":\"before\"",
                                           "\"prefix\":\"\",\"initial\":false"};
    uint16_t port = kv_test_port(state);
    for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        struct kv_test_ws ws;
        kv_test_store(port, "later%2Fbefore", "1");
        kv_test_ws_open(&ws, port);
        kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"payload\":{%s}}", subjects[i]);
        kv_test_ws_expect_nothing(&ws);
        kv_test_store(port, "before", "2");
        kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"before\",\"value\":2}}");
        kv_test_ws_close(&ws);
    }
}

static void event_stream_begins_behind_what_was_before_it(void **state)
{
    struct kv_test_stream stream;
    struct kv_buffer request = {0};
    uint16_t port = kv_test_port(state);
    kv_test_store(port, "later%2Fahead", "1");
    kv_test_stream_open(&stream, port);
    kv_test_http_write(&request, "GET", KV_SLICE("/events?key=ahead"), NULL, (struct kv_slice){0});
    kv_test_stream_put(&stream, kv_buffer_slice(&request));
    kv_test_stream_flush(&stream);
    assert_true(kv_test_stream_await(&stream, 1)); /* of the head: it is in force */
    kv_test_store(port, "ahead", "2");
    for (;;) {
        struct kv_slice unread = kv_test_stream_unread(&stream);
        assert_null(memmem(unread.bytes, unread.len, "\"value\":1", 9));
        if (memmem(unread.bytes, unread.len, "\"value\":2", 9) != NULL)
            break;
        assert_true(kv_test_stream_await(&stream, unread.len + 1));
    }
    kv_buffer_fini(&request);
    kv_test_stream_close(&stream);
}

static bool next_frame(struct kv_test_ws *ws, struct kv_test_frame *ret)
{
    while (!kv_test_ws_take(ws, ret))
        if (!kv_test_stream_await(&ws->stream, kv_test_stream_unread(&ws->stream).len + 1))
            return false;
    return true;
}

static void missed_change_resets_subscribers_who_see_the_present_state(void **state)
{
    struct kv_test_ws ws;
    kv_test_store(kv_test_port(state), "missing", "1");
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_put_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"missing\"}}");
    kv_test_ws_expect_nothing(&ws);
    kv_test_store(kv_test_port(state), "missed%2Fmissing", "2");
    struct kv_buffer seen = {0};
    struct kv_test_frame frame;
    do {
        assert_true(next_frame(&ws, &frame));
        kv_buffer_append(&seen, frame.payload);
    } while (memmem(seen.bytes, seen.len, "\"synced\"", 8) == NULL);
    kv_buffer_append_char(&seen, '\0');
    const char *reset = strstr(seen.bytes, "{\"type\":\"reset\",\"payload\":{\"key\":\"missing\"");
    const char *value =
        strstr(seen.bytes, "{\"type\":\"value\",\"payload\":{\"key\":\"missing\",\"value\":2");
    assert_true(reset != NULL && value != NULL && reset < value);
    kv_test_store(kv_test_port(state), "missing", "3"); /* and it goes on */
    assert_true(next_frame(&ws, &frame));
    assert_non_null(memmem(frame.payload.bytes, frame.payload.len, "\"value\":3", 9));
    kv_buffer_fini(&seen);
    kv_test_ws_close(&ws);
}

static void resuming_is_possible_only_after_a_missed_change(void **state)
{
    struct kv_test_watcher watcher;
    kv_test_watcher_begin(&watcher, kv_test_port(state), "gap");
    await(&watcher, 0, 0);
    kv_test_store(kv_test_port(state), "gap1", "1");
    await(&watcher, 1, 0);
    uint64_t before = watcher.mark;
    kv_test_store(kv_test_port(state), "missed%2Fgap2", "2");
    await(&watcher, 0, 1);
    assert_int_equal(watcher.n_states, 2);
    assert_true(watcher.mark > before);
    kv_test_watcher_resume(&watcher, kv_test_port(state));
    await(&watcher, 0, 1);
    assert_int_equal(watcher.n_resets, 1);
    watcher.mark = before;
    kv_test_watcher_resume(&watcher, kv_test_port(state));
    await(&watcher, 0, 2);
    assert_int_equal(watcher.n_states, 4);
    kv_test_watcher_end(&watcher);
}

static void event_streams_are_reset_as_well(void **state)
{
    struct kv_test_stream stream;
    struct kv_buffer request = {0};
    kv_test_store(kv_test_port(state), "streamed", "1");
    kv_test_stream_open(&stream, kv_test_port(state));
    kv_test_http_write(&request, "GET", KV_SLICE("/events?key=streamed&initial=true"), NULL,
                       (struct kv_slice){0});
    kv_test_stream_put(&stream, kv_buffer_slice(&request));
    kv_test_stream_flush(&stream);
    bool has_written = false;
    for (;;) {
        struct kv_slice unread = kv_test_stream_unread(&stream);
        const char *reset =
            unread.len == 0 ? NULL : memmem(unread.bytes, unread.len, "event: reset", 12);
        if (!has_written && unread.len != 0 &&
            memmem(unread.bytes, unread.len, "event: synced", 13) != NULL) {
            kv_test_store(kv_test_port(state), "missed%2Fstreamed", "2");
            has_written = true;
        }
        if (reset != NULL &&
            memmem(reset, (size_t)(unread.bytes + unread.len - reset), "\"value\":2", 9) != NULL)
            break;
        assert_true(kv_test_stream_await(&stream, unread.len + 1));
    }
    kv_buffer_fini(&request);
    kv_test_stream_close(&stream);
}

static int post(uint16_t port, const char *path, struct kv_test_response *ret)
{
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, port);
    int status = kv_test_http_ask(&stream, "POST", path, NULL, "{\"value\":1}", ret);
    kv_test_stream_close(&stream);
    return status;
}

static void write_of_unknown_outcome_is_504_whether_or_not_it_was_done(void **state)
{
    struct kv_test_response response = {0};
    assert_int_equal(post(kv_test_port(state), "/storage/unknown%2Fdone%2Fu", &response), 504);
    assert_null(kv_test_response_header(&response, "retry-after"));
    assert_non_null(memmem(response.body.bytes, response.body.len, "may have taken effect", 21));
    kv_test_expect_value(kv_test_port(state), "u", "1");
    assert_int_equal(post(kv_test_port(state), "/storage/unknown%2Fnot%2Fv", &response), 504);
    kv_test_expect_missing(kv_test_port(state), "v");
    assert_int_equal(kv_test_http_status(kv_test_port(state), "PATCH", "/storage/unknown%2Fnot%2Fv",
                                         NULL, "{\"increment\":1}"),
                     504);
    kv_test_response_fini(&response);
}

static void unreachable_store_is_503_with_retry_after(void **state)
{
    struct kv_test_response response = {0};
    assert_int_equal(post(kv_test_port(state), "/storage/away%2Fa", &response), 503);
    assert_non_null(kv_test_response_header(&response, "retry-after"));
    assert_non_null(memmem(response.body.bytes, response.body.len, "nothing has changed", 19));
    assert_int_equal(
        kv_test_http_status(kv_test_port(state), "GET", "/storage/away%2Fa", NULL, NULL), 503);
    kv_test_response_fini(&response);
}

static void messages_report_it_too(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_put_text(
        &ws, "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"unknown/done/w\",\"value\":1}}");
    kv_test_ws_expect_error(&ws, "1");
    kv_test_ws_put_text(&ws, "{\"type\":\"get\",\"id\":2,\"payload\":{\"key\":\"away/w\"}}");
    kv_test_ws_expect_error(&ws, "2");
    kv_test_ws_close(&ws);
}

static void store_that_cannot_serve_makes_the_server_unready(void **state)
{
    static const char described[] = "\"status\":\"unavailable\",\"store\":\"unavailable\","
                                    "\"partitions\":{\"count\":1,\"connected\":0}";
    uint16_t port = kv_test_port(state);
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, port);
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/readyz", NULL, NULL, &response), 200);
    kv_test_store(port, "health%2F", "\"the cable is cut\"");
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/readyz", NULL, NULL, &response), 503);
    assert_non_null(kv_test_response_header(&response, "retry-after"));
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/readyz?verbose", NULL, NULL, &response),
                     503);
    assert_non_null(
        memmem(response.body.bytes, response.body.len, described, sizeof(described) - 1));
    assert_int_equal(kv_test_http_status(port, "GET", "/healthz", NULL, NULL), 200);
    assert_int_equal(kv_test_http_status(port, "GET", "/storage/none", NULL, NULL), 204);
    assert_int_equal(kv_test_http_status(port, "DELETE", "/storage/health%2F", NULL, NULL), 200);
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/readyz", NULL, NULL, &response), 200);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void expect_cluster(struct kv_test_stream *stream, const char *expected)
{
    struct kv_test_response response = {0};
    assert_int_equal(kv_test_http_ask(stream, "GET", "/admin/cluster", NULL, NULL, &response), 200);
    kv_buffer_append_char(&response.body, '\0');
    assert_string_equal(response.body.bytes, expected);
    kv_test_response_fini(&response);
}

static void operators_see_the_partitions_and_their_faults(void **state)
{
    uint16_t port = kv_test_port(state);
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, port);
    kv_test_store(port, "health%2F", "\"the \\u001b cable\"");
    expect_cluster(&stream,
                   "{\"partitions\":[{\"partition\":0,\"connected\":false,\"node\":\"far away\","
                   "\"fault\":\"\\\"the \\\\u001b cable\\\"\",\"waiting\":0,\"sent\":0,\"held\":0,"
                   "\"reconnects\":0,\"resyncs\":7}]}");
    assert_int_equal(kv_test_http_status(port, "DELETE", "/storage/health%2F", NULL, NULL), 200);
    expect_cluster(&stream,
                   "{\"partitions\":[{\"partition\":0,\"connected\":true,\"node\":\"far away\","
                   "\"waiting\":0,\"sent\":0,\"held\":0,\"reconnects\":0,\"resyncs\":7,"
                   "\"lease\":\"elsewhere\",\"holder\":\"one of them\",\"cursor\":5,"
                   "\"behind\":6}]}");
    kv_test_stream_close(&stream);
}

static void sinks_see_only_their_own_changes(void **state)
{
    struct kv_test_server server;
    struct kv_buffer text = {0};
    char *folder = kv_test_folder_make();
    char *path = kv_test_path(folder, "out");
    (void)state;
    kv_test_start_in(&server, folder, "sinks: [{module: file, options: {path: '%s/out'}}]\n");
    kv_test_store(server.port, "elsewhere%2Fforeign", "1");
    kv_test_store(server.port, "own", "1");
    kv_test_server_stop_cleanly(&server);
    kv_test_file_read(path, &text);
    kv_buffer_append_char(&text, '\0');
    assert_non_null(strstr(text.bytes, "\"own\""));
    assert_null(strstr(text.bytes, "foreign"));
    kv_buffer_fini(&text);
    free(path);
    kv_test_folder_remove(folder);
    free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_from_elsewhere_come_in_order_with_others),
        cmocka_unit_test(changes_from_elsewhere_come_again_with_since),
        cmocka_unit_test(change_before_a_subscription_is_not_told_behind_it),
        cmocka_unit_test(event_stream_begins_behind_what_was_before_it),
        cmocka_unit_test(missed_change_resets_subscribers_who_see_the_present_state),
        cmocka_unit_test(resuming_is_possible_only_after_a_missed_change),
        cmocka_unit_test(event_streams_are_reset_as_well),
        cmocka_unit_test(write_of_unknown_outcome_is_504_whether_or_not_it_was_done),
        cmocka_unit_test(unreachable_store_is_503_with_retry_after),
        cmocka_unit_test(messages_report_it_too),
        cmocka_unit_test(store_that_cannot_serve_makes_the_server_unready),
        cmocka_unit_test(operators_see_the_partitions_and_their_faults),
        cmocka_unit_test(sinks_see_only_their_own_changes),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
