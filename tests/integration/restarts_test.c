/*
 * A subscriber of a server that is killed and started again: with `since` it has, at the end, every
 * change that was answered, each once, in order, and no reset.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/client/ws.h"
#include "support/durable/store.h"

enum {
    RESTARTS = 10,
    WRITES = 200, /* sent to each server, of which some are answered before it is killed */
    KEYS = 20,
    MOST = RESTARTS * WRITES
};

static struct kv_test_ws ws; /* writes and subscribes: it is shown answers and changes alike */
static uint64_t answered[MOST], seen[MOST];
static size_t n_answered, n_seen;
static uint64_t mark;
static char epoch[64];
static bool is_synced;

static void see(const char *text)
{
    const char *revision = strstr(text, "\"revision\":");
    assert_null(strstr(text, "\"type\":\"reset\""));
    assert_non_null(revision);
    uint64_t number = strtoull(revision + 11, NULL, 10);
    if (strstr(text, "{\"type\":\"ok\"") == text) {
        answered[n_answered++] = number;
        return;
    }
    if (strstr(text, "{\"type\":\"synced\"") == text) {
        assert_int_equal(sscanf(strstr(text, "\"epoch\":\"") + 9, "%63[^\"]", epoch), 1);
        is_synced = true;
    } else {
        assert_true(n_seen == 0 || number > seen[n_seen - 1]);
        seen[n_seen++] = number;
    }
    if (is_synced)
        mark = number;
}

static void see_next(void)
{
    struct kv_test_frame frame;
    char text[512];
    assert_true(kv_test_ws_receive(&ws, &frame));
    assert_true(frame.payload.len < sizeof(text));
    memcpy(text, frame.payload.bytes, frame.payload.len);
    text[frame.payload.len] = '\0';
    see(text);
}

static void subscribe(uint16_t port)
{
    kv_test_ws_open(&ws, port);
    is_synced = false;
    if (mark == 0)
        kv_test_ws_send_text(
            &ws, "{\"type\":\"subscribe\",\"payload\":{\"prefix\":\"k/\",\"initial\":true,"
                 "\"meta\":true}}");
    else
        kv_test_ws_send_text(&ws,
                             "{\"type\":\"subscribe\",\"payload\":{\"prefix\":\"k/\",\"since\":%ju,"
                             "\"epoch\":\"%s\",\"meta\":true}}",
                             (uintmax_t)mark, epoch);
    while (!is_synced)
        see_next();
}

static void write_some(void)
{
    static int value;
    for (int i = 0; i < WRITES; i++)
        kv_test_ws_put_text(&ws,
                            "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"k/%ld\","
                            "\"value\":%d}}",
                            random() % KEYS, ++value);
    kv_test_stream_flush(&ws.stream);
    for (long n = random() % (2 * WRITES); n > 0; n--) /* changes and answers, in no order */
        see_next();
}

static bool is_seen(uint64_t revision)
{
    for (size_t i = 0; i < n_seen; i++)
        if (seen[i] == revision)
            return true;
    return false;
}

static void subscriber_continues_across_kills_of_the_server(void **state)
{
    struct kv_test_store store;
    (void)state;
    srandom(15);
    kv_test_store_make(&store);
    for (int i = 0; i < RESTARTS; i++) {
        kv_test_store_start(&store, "");
        subscribe(store.server.port);
        write_some();
        kv_test_server_kill(&store.server);
        kv_test_ws_close(&ws);
    }
    kv_test_store_start(&store, "");
    subscribe(store.server.port);
    kv_test_ws_close(&ws);
    assert_true(n_answered > 0);
    for (size_t i = 0; i < n_answered; i++)
        assert_true(is_seen(answered[i]));
    kv_test_server_stop_cleanly(&store.server);
    kv_test_store_remove(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscriber_continues_across_kills_of_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
