/*
 * Keys that expire while the server is down, and servers that take long to open their store.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/durable/store.h"

enum {
    KEYS = 300,
    TTL_MS = 400,
    SETTLE_MS = 100,
};

/* Keys that expire together. Returns: when the last of them is due. */
static int64_t set_keys(uint16_t port)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, port);
    for (int i = 0; i < KEYS; i++)
        kv_test_ws_put_text(
            &ws, "{\"type\":\"set\",\"payload\":{\"key\":\"key%d\",\"value\":1,\"ttl\":%d}}", i,
            TTL_MS);
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
    return kv_test_now_ms() + TTL_MS;
}

/* A change of a key of the test's own. Returns: its revision. */
static uint64_t change(uint16_t port)
{
    static int number;
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, port);
    kv_test_ws_send_text(
        &ws, "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"probe\",\"value\":%d}}", ++number);
    uint64_t revision = kv_test_ws_expect_ok(&ws, "1", "\"probe\"");
    kv_test_ws_close(&ws);
    return revision;
}

/* A store with keys that expired while it was closed. Returns: the last revision. */
static uint64_t let_keys_expire_while_down(struct kv_test_store *store, bool is_crash)
{
    kv_test_store_make(store);
    kv_test_store_start(store, "");
    int64_t due_ms = set_keys(store->server.port);
    uint64_t revision = change(store->server.port);
    if (is_crash)
        kv_test_server_kill(&store->server);
    else
        kv_test_server_stop_cleanly(&store->server);
    kv_test_sleep_ms(due_ms - kv_test_now_ms() + SETTLE_MS);
    return revision;
}

static void keys_expired_during_downtime_are_missing_at_once(void **state)
{
    struct kv_test_store store;
    char path[32];
    (void)state;
    for (int is_crash = 0; is_crash < 2; is_crash++) {
        let_keys_expire_while_down(&store, is_crash);
        kv_test_store_start(&store, "");
        for (int i = 0; i < KEYS; i++) {
            snprintf(path, sizeof(path), "key%d", i);
            kv_test_expect_missing(store.server.port, path);
        }
        kv_test_server_stop_cleanly(&store.server);
        kv_test_store_remove(&store);
    }
}

/* Each expiry takes a revision, and nothing else does meanwhile. */
static void keys_expired_during_downtime_are_removed_once_unprompted(void **state)
{
    struct kv_test_store store;
    int64_t limit_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    (void)state;
    uint64_t last = let_keys_expire_while_down(&store, false);
    kv_test_store_start(&store, "");
    uint64_t n_changes = 0, revision;
    do {
        revision = change(store.server.port);
        n_changes++;
        assert_true(revision <= last + KEYS + n_changes);
        assert_true(kv_test_now_ms() < limit_ms);
    } while (revision < last + KEYS + n_changes);
    kv_test_server_stop_cleanly(&store.server);
    kv_test_store_start(&store, "");
    kv_test_sleep_ms(SETTLE_MS);
    assert_int_equal(change(store.server.port), revision + 1);
    kv_test_server_stop_cleanly(&store.server);
    kv_test_store_remove(&store);
}

/* The events of a key that a subscriber receives: possibly the expiry, then the value. */
static void expect_in_order(struct kv_test_ws *ws, int n)
{
    bool has_value[KEYS] = {false};
    for (int n_values = 0; n_values < n;) {
        struct kv_test_frame frame;
        char text[100] = "";
        int key;
        assert_true(kv_test_ws_receive(ws, &frame));
        assert_true(frame.payload.len < sizeof(text));
        memcpy(text, frame.payload.bytes, frame.payload.len);
        bool is_value =
            sscanf(text, "{\"type\":\"value\",\"payload\":{\"key\":\"key%d\"", &key) == 1;
        assert_true(is_value ||
                    sscanf(text, "{\"type\":\"no-value\",\"payload\":{\"key\":\"key%d\"", &key) ==
                        1);
        assert_in_range(key, 0, KEYS - 1);
        assert_false(has_value[key]);
        has_value[key] = is_value;
        n_values += is_value;
    }
    kv_test_ws_expect_nothing(ws);
}

static void expiry_is_notified_before_a_later_change_of_its_key(void **state)
{
    struct kv_test_store store;
    struct kv_test_ws ws;
    (void)state;
    let_keys_expire_while_down(&store, true);
    kv_test_store_start(&store, "");
    kv_test_ws_open(&ws, store.server.port);
    for (int i = KEYS - 1; i >= 0; i--) {
        kv_test_ws_put_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"key%d\"}}", i);
        kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"key%d\",\"value\":2}}",
                            i);
    }
    kv_test_stream_flush(&ws.stream);
    expect_in_order(&ws, KEYS);
    kv_test_ws_close(&ws);
    kv_test_server_stop_cleanly(&store.server);
    kv_test_store_remove(&store);
}

/* The disk hangs, so the opening does. */
static void server_is_503_until_its_store_is_open(void **state)
{
    struct kv_test_store store;
    (void)state;
    kv_test_store_make(&store);
    kv_test_store_start(&store, "");
    kv_test_store(store.server.port, "key", "1");
    kv_test_server_kill(&store.server);
    kv_test_store_set(&store, "stuck", true);
    char *yaml = kv_test_store_yaml(&store, "");
    kv_test_server_start_alive(&store.server, yaml);
    uint16_t port = store.server.port;
    assert_int_equal(kv_test_http_status(port, "GET", "/readyz", NULL, NULL), 503);
    assert_int_equal(kv_test_http_status(port, "GET", "/storage/key", NULL, NULL), 503);
    assert_int_equal(kv_test_http_status(port, "POST", "/storage/key", NULL, "{\"value\":2}"), 503);
    assert_int_equal(kv_test_http_status(port, "GET", "/healthz", NULL, NULL), 200);
    kv_test_store_set(&store, "stuck", false);
    int64_t limit_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    while (kv_test_http_status(port, "GET", "/readyz", NULL, NULL) != 200)
        assert_true(kv_test_now_ms() < limit_ms);
    kv_test_expect_value(port, "key", "1");
    kv_test_server_stop_cleanly(&store.server);
    kv_test_store_remove(&store);
    free(yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_expired_during_downtime_are_missing_at_once),
        cmocka_unit_test(keys_expired_during_downtime_are_removed_once_unprompted),
        cmocka_unit_test(expiry_is_notified_before_a_later_change_of_its_key),
        cmocka_unit_test(server_is_503_until_its_store_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
