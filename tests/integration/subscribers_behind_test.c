/*
 * Subscribers that do not keep up, and subscriptions that end, over WebSocket. (Event streams:
 * events_test.c; what is kept meanwhile: slow_readers_test.c.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fixture.h"

enum {
    NARROW = 16 * 1024, /* receive buffer of a client that pauses */
    LONG = 64 * 1024,
    FILLING = 200, /* writes of long values: more than the kernel's buffers between the two take */
    FEW = 60,      /* keys that may wait, with a long value among them */
    KEYS = 260     /* more than may */
};

static int group_start(void **state)
{
    return kv_test_group_start_with(
        state, "limits: {unsent_per_connection: 64KiB, subscriptions_per_connection: 200}\n");
}

static void subscribe(struct kv_test_ws *ws, const char *payload)
{
    kv_test_ws_send_text(ws, "{\"type\":\"subscribe\",\"payload\":%s}", payload);
}

/* A message, with long values cut off. */
struct message {
    char text[512];
};

static void next(struct kv_test_ws *ws, struct message *message)
{
    struct kv_test_frame frame;
    assert_true(kv_test_ws_receive(ws, &frame));
    size_t len =
        frame.payload.len < sizeof(message->text) ? frame.payload.len : sizeof(message->text) - 1;
    memcpy(message->text, frame.payload.bytes, len);
    message->text[len] = '\0';
}

static bool has(const struct message *message, const char *part)
{
    return strstr(message->text, part) != NULL;
}

static uint64_t revision_of(const struct message *message)
{
    const char *at = strstr(message->text, "\"revision\":");
    assert_non_null(at);
    return strtoull(at + strlen("\"revision\":"), NULL, 10);
}

static void open_paused(struct kv_test_ws *ws, void **state, const char *payload)
{
    struct message message;
    *ws = (struct kv_test_ws){.mask = 0x55aa55aa};
    kv_test_stream_open_narrow(&ws->stream, kv_test_port(state), NARROW);
    kv_test_ws_upgrade(ws);
    subscribe(ws, payload);
    next(ws, &message);
    assert_true(has(&message, "\"type\":\"synced\""));
    ws->stream.is_paused = true;
}

static void write_key(struct kv_test_ws *writer, const char *prefix, int key, int version,
                      const char *filler)
{
    char id[16], name[64];
    snprintf(id, sizeof(id), "%d", version);
    snprintf(name, sizeof(name), "\"%s%d\"", prefix, key);
    kv_test_ws_send_text(
        writer, "{\"type\":\"set\",\"id\":%s,\"payload\":{\"key\":%s,\"value\":[%d,\"%s\"]}}", id,
        name, version, filler);
    kv_test_ws_expect_ok(writer, id, name);
}

/* Makes the subscriber fall behind, and then changes so many keys: the first is the long one. */
static void overwhelm(void **state, const char *prefix, int n_keys)
{
    struct kv_test_ws writer;
    char *filler = kv_test_letters('f', LONG);
    kv_test_ws_open(&writer, kv_test_port(state));
    for (int i = 0; i < FILLING; i++)
        write_key(&writer, prefix, 0, i, filler);
    for (int key = 0; key < n_keys; key++)
        for (int version = 0; version < 3; version++)
            write_key(&writer, prefix, key, version, "");
    kv_test_ws_close(&writer);
    free(filler);
}

static void those_that_are_behind_get_the_newest_states_marked_as_collapsed(void **state)
{
    struct kv_test_ws ws;
    struct message message;
    uint64_t last = 0, n_collapsed = 0;
    open_paused(&ws, state, "{\"prefix\":\"behind/\",\"meta\":true,\"initial\":true}");
    overwhelm(state, "behind/", FEW);
    ws.stream.is_paused = false;
    for (int n_newest = 0; n_newest < FEW;) {
        next(&ws, &message);
        assert_true(has(&message, "\"type\":\"value\""));
        assert_true(revision_of(&message) > last);
        last = revision_of(&message);
        n_collapsed += has(&message, "\"collapsed\":true");
        n_newest += has(&message, "\"value\":[2,\"\"]");
    }
    assert_true(n_collapsed > 0);
    kv_test_store(kv_test_port(state), "behind%2F0", "1");
    next(&ws, &message);
    assert_false(has(&message, "collapsed"));
    kv_test_ws_close(&ws);
}

static void a_prefix_with_more_changed_keys_than_may_wait_is_reset(void **state)
{
    struct kv_test_ws ws;
    struct message message;
    bool is_shown[KEYS] = {false};
    open_paused(&ws, state, "{\"prefix\":\"reset/\",\"meta\":true,\"initial\":true}");
    overwhelm(state, "reset/", KEYS);
    ws.stream.is_paused = false;
    do
        next(&ws, &message);
    while (!has(&message, "\"type\":\"reset\""));
    assert_true(has(&message, "\"payload\":{\"prefix\":\"reset/\",\"epoch\":\""));
    for (next(&ws, &message); !has(&message, "\"type\":\"synced\""); next(&ws, &message)) {
        const char *key = strstr(message.text, "\"key\":\"reset/");
        assert_non_null(key);
        assert_true(has(&message, "\"value\":[2,\"\"]"));
        is_shown[atoi(key + strlen("\"key\":\"reset/"))] = true;
    }
    for (int key = 0; key < KEYS; key++)
        assert_true(is_shown[key]);
    kv_test_store(kv_test_port(state), "reset%2F0", "1");
    next(&ws, &message);
    assert_true(has(&message, "\"reason\":\"set\""));
    assert_false(has(&message, "collapsed"));
    kv_test_ws_close(&ws);
}

static void a_subscription_that_the_store_fails_ends_and_says_so(void **state)
{
    struct kv_test_server server;
    struct kv_test_ws ws;
    (void)state;
    if (!kv_test_uses_store("late"))
        skip(); /* the others do not fail */
    setenv("KV_TEST_STORE_OPTIONS", "failing_key: broken", 1);
    kv_test_start(&server, "");
    unsetenv("KV_TEST_STORE_OPTIONS");
    kv_test_ws_open(&ws, server.port);
    subscribe(&ws, "{\"key\":\"whole\"}");
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"key\":\"broken\","
                              "\"initial\":true}}");
    kv_test_ws_expect(&ws, "{\"type\":\"ok\",\"id\":1,\"payload\":{\"key\":\"broken\"}}");
    struct message message;
    next(&ws, &message);
    kv_test_expect_part(message.text,
                        "{\"type\":\"ended\",\"payload\":{\"key\":\"broken\",\"error\":\"");
    kv_test_store(server.port, "broken", "1");
    kv_test_store(server.port, "whole", "1");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"whole\",\"value\":1}}");
    subscribe(&ws, "{\"key\":\"broken\",\"initial\":true}");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"broken\",\"value\":1}}");
    next(&ws, &message);
    kv_test_expect_part(message.text, "{\"type\":\"synced\",\"payload\":{\"key\":\"broken\"");
    kv_test_ws_close(&ws);
    kv_test_server_stop_cleanly(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_that_are_behind_get_the_newest_states_marked_as_collapsed),
        cmocka_unit_test(a_prefix_with_more_changed_keys_than_may_wait_is_reset),
        cmocka_unit_test(a_subscription_that_the_store_fails_ends_and_says_so),
    };
    return cmocka_run_group_tests(tests, group_start, kv_test_group_stop);
}
