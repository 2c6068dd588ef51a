/*
 * The policies of the configuration determine `KV-TTL` and the expiry of keys; each test has
 * prefixes of its own, all in one chain.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define HOUR INT64_C(3600000)

enum {
    SLACK_MS = 60000, /* of a machine that is busy, against hours */
    SLIDING_MS = 2000,
};

static const char yaml[] =
    "ttl:\n"
    "  - {module: bounded, options: {default: 1h, maximum: 5h, prefixes: ['b:', 'j:']}}\n"
    "  - {module: bounded, options: {minimum: 2h, prefixes: ['b:long:']}}\n"
    "  - {module: sliding, options: {ttl: 10h, step: 1h, prefixes: ['s:']}}\n"
    "  - {module: sliding, options: {ttl: 2s, step: 0, prefixes: ['live:']}}\n"
    "  - {module: jitter, options: {percent: 50, prefixes: ['j:']}}\n";

static void store(uint16_t port, const char *path, const char *body)
{
    assert_int_equal(kv_test_http_status(port, "POST", path, NULL, body), 202);
}

/* The value of `KV-TTL`; 0 if it is missing. */
static int64_t ttl_left(uint16_t port, const char *path)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, port);
    assert_int_equal(kv_test_http_ask(&stream, "GET", path, NULL, NULL, &response), 200);
    const char *header = kv_test_response_header(&response, "kv-ttl");
    int64_t left_ms = header == NULL ? 0 : strtoll(header, NULL, 10);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    return left_ms;
}

static void expect_ttl(uint16_t port, const char *path, int64_t ttl_ms)
{
    int64_t left_ms = ttl_left(port, path);
    int64_t most_ms = ttl_ms == 0 ? 0 : ttl_ms + kv_test_clock_error_ms();
    if (left_ms > most_ms || left_ms < ttl_ms - SLACK_MS || (ttl_ms != 0 && left_ms <= 0))
        fail_msg("%s: KV-TTL is %jd, not %jd", path, (intmax_t)left_ms, (intmax_t)ttl_ms);
}

static void default_and_bounds_show_in_kv_ttl(void **state)
{
    uint16_t port = kv_test_port(state);
    store(port, "/storage/b:1", "{\"value\":1}");
    expect_ttl(port, "/storage/b:1", HOUR);
    store(port, "/storage/b:1", "{\"value\":1,\"ttl\":\"10h\"}");
    expect_ttl(port, "/storage/b:1", 5 * HOUR);
    store(port, "/storage/b:1", "{\"value\":1,\"ttl\":0}");
    expect_ttl(port, "/storage/b:1", 5 * HOUR);
    store(port, "/storage/free", "{\"value\":1}");
    expect_ttl(port, "/storage/free", 0);
}

static void policies_run_in_the_order_listed(void **state)
{
    uint16_t port = kv_test_port(state);
    store(port, "/storage/b:long:1", "{\"value\":1}");
    expect_ttl(port, "/storage/b:long:1", 2 * HOUR);
}

static void policies_see_writes_of_websockets_too(void **state)
{
    uint16_t port = kv_test_port(state);
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, port);
    kv_test_ws_send_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"b:ws\",\"value\":1}}");
    kv_test_ws_expect_nothing(&ws);
    expect_ttl(port, "/storage/b:ws", HOUR);
    kv_test_ws_close(&ws);
}

static void read_shows_and_keeps_the_renewed_ttl(void **state)
{
    uint16_t port = kv_test_port(state);
    store(port, "/storage/s:1", "{\"value\":1,\"ttl\":\"1h\"}");
    expect_ttl(port, "/storage/s:1", 10 * HOUR);
    expect_ttl(port, "/storage/s:1", 10 * HOUR);
}

static void read_changes_no_revision_and_notifies_nobody(void **state)
{
    uint16_t port = kv_test_port(state);
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, port);
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"s:2\"}}");
    kv_test_ws_send_text(
        &ws,
        "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"s:2\",\"value\":1,\"ttl\":\"1h\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"s:2\",\"value\":1}}");
    uint64_t revision = kv_test_ws_expect_ok(&ws, "1", "\"s:2\"");
    expect_ttl(port, "/storage/s:2", 10 * HOUR);
    char header[64];
    snprintf(header, sizeof(header), "If-Match: \"%ju\"\r\n", (uintmax_t)revision);
    assert_int_equal(kv_test_http_status(port, "GET", "/storage/s:2", header, NULL), 200);
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void key_without_expiry_is_not_renewed(void **state)
{
    uint16_t port = kv_test_port(state);
    store(port, "/storage/s:3", "{\"value\":1,\"ttl\":0}");
    expect_ttl(port, "/storage/s:3", 0);
    expect_ttl(port, "/storage/s:3", 0);
}

/* Read for longer than its TTL, then left alone. */
static void key_exists_as_long_as_it_is_read(void **state)
{
    uint16_t port = kv_test_port(state);
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, port);
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"live:1\"}}");
    kv_test_ws_send_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"live:1\",\"value\":1}}");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"live:1\",\"value\":1}}");
    int64_t last_ms = kv_test_now_ms(), begin_ms = last_ms;
    while (last_ms < begin_ms + SLIDING_MS * 3 / 2) {
        kv_test_sleep_ms(20);
        last_ms = kv_test_now_ms();
        kv_test_expect_value(port, "live:1", "1");
    }
    kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"live:1\"}}");
    assert_true(kv_test_now_ms() >= last_ms + SLIDING_MS);
    kv_test_ws_close(&ws);
}

static void jitter_spreads_the_ttls_of_bounded(void **state)
{
    uint16_t port = kv_test_port(state);
    int64_t least_ms = HOUR, most_ms = 0;
    for (int i = 0; i < 40; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/storage/j:%d", i);
        store(port, path, "{\"value\":1}");
        int64_t left_ms = ttl_left(port, path);
        assert_true(left_ms <= HOUR && left_ms >= HOUR / 2 - SLACK_MS);
        least_ms = left_ms < least_ms ? left_ms : least_ms;
        most_ms = left_ms > most_ms ? left_ms : most_ms;
    }
    assert_true(most_ms - least_ms > HOUR / 10);
}

static int group_start(void **state)
{
    return kv_test_group_start_with(state, yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_and_bounds_show_in_kv_ttl),
        cmocka_unit_test(policies_run_in_the_order_listed),
        cmocka_unit_test(policies_see_writes_of_websockets_too),
        cmocka_unit_test(read_shows_and_keeps_the_renewed_ttl),
        cmocka_unit_test(read_changes_no_revision_and_notifies_nobody),
        cmocka_unit_test(key_without_expiry_is_not_renewed),
        cmocka_unit_test(key_exists_as_long_as_it_is_read),
        cmocka_unit_test(jitter_spreads_the_ttls_of_bounded),
    };
    return cmocka_run_group_tests(tests, group_start, kv_test_group_stop);
}
