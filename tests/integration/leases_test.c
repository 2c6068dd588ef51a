/* Leases: keys that live as long as the connection that wrote them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

enum {
    MOST = 4
};

static struct kv_test_ws holder;
static struct kv_test_ws watcher;

static int open_both(void **state)
{
    kv_test_ws_open(&holder, kv_test_port(state));
    kv_test_ws_open(&watcher, kv_test_port(state));
    return 0;
}

static int close_both(void **state)
{
    (void)state;
    kv_test_ws_close(&holder);
    kv_test_ws_close(&watcher);
    return 0;
}

static void hold(const char *key, const char *value, const char *ttl)
{
    char name[64];
    snprintf(name, sizeof(name), "\"%s\"", key);
    kv_test_ws_send_text(&holder,
                         "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":%s,\"value\":%s,"
                         "\"ttl\":\"%s\",\"while_connected\":true}}",
                         name, value, ttl);
    assert_true(kv_test_ws_expect_ok(&holder, "1", name) != 0);
}

static void watch(const char *key)
{
    char name[64];
    snprintf(name, sizeof(name), "\"%s\"", key);
    kv_test_ws_send_text(&watcher, "{\"type\":\"subscribe\",\"id\":2,\"payload\":{\"key\":%s}}",
                         name);
    kv_test_ws_expect_ok(&watcher, "2", name);
}

static void let_go(void)
{
    kv_test_ws_close(&holder);
}

/* The lease of another key was held before, and ends after: so all that the connection's end leads
 * to has happened. */
static void hold_last(void)
{
    hold("zz-last", "1", "1h");
    watch("zz-last");
}

static void await_last(void)
{
    kv_test_ws_expect(&watcher, "{\"type\":\"no-value\",\"payload\":{\"key\":\"zz-last\"}}");
}

static long ttl_of(void **state, const char *key)
{
    char path[64];
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    snprintf(path, sizeof(path), "/storage/%s", key);
    kv_test_stream_open(&stream, kv_test_port(state));
    assert_int_equal(kv_test_http_ask(&stream, "GET", path, NULL, NULL, &response), 200);
    long ttl = atol(kv_test_response_header(&response, "KV-TTL"));
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    return ttl;
}

static void a_key_ends_with_its_connection(void **state)
{
    hold("ends", "1", "1h");
    watch("ends");
    kv_test_expect_value(kv_test_port(state), "ends", "1");
    let_go();
    kv_test_ws_expect(&watcher, "{\"type\":\"no-value\",\"payload\":{\"key\":\"ends\"}}");
    kv_test_expect_missing(kv_test_port(state), "ends");
}

static void a_key_ends_with_a_closing_handshake_too(void **state)
{
    (void)state;
    hold("shaken", "1", "1h");
    watch("shaken");
    kv_test_ws_send_frame(&holder, KV_TEST_WS_FINAL | KV_TEST_WS_CLOSE, KV_SLICE("\x03\xe8"));
    kv_test_ws_expect(&watcher, "{\"type\":\"no-value\",\"payload\":{\"key\":\"shaken\"}}");
}

static void the_end_of_a_connection_is_a_delete(void **state)
{
    (void)state;
    hold("deleted", "1", "1h");
    kv_test_ws_send_text(&watcher, "{\"type\":\"subscribe\",\"id\":2,\"payload\":"
                                   "{\"key\":\"deleted\",\"meta\":true}}");
    kv_test_ws_expect_ok(&watcher, "2", "\"deleted\"");
    let_go();
    struct kv_test_frame frame;
    assert_true(kv_test_ws_receive(&watcher, &frame));
    assert_non_null(memmem(frame.payload.bytes, frame.payload.len, "\"reason\":\"delete\"", 17));
}

static void a_lease_is_renewed_and_nobody_is_told(void **state)
{
    hold("renewed", "1", "5s");
    watch("renewed");
    long last = ttl_of(state, "renewed"), now;
    assert_in_range(last, 1, 5000 + kv_test_clock_error_ms());
    while ((now = ttl_of(state, "renewed")) <= last) {
        last = now;
        kv_test_sleep_ms(10); /* time is what this is about */
    }
    assert_in_range(now, 3000, 5000 + kv_test_clock_error_ms());
    kv_test_ws_expect_nothing(&watcher);
}

static void a_key_that_others_wrote_or_touched_stays(void **state)
{
    uint16_t port = kv_test_port(state);
    hold("other", "1", "1h");
    hold("same", "1", "1h");
    hold("touched", "1", "1h");
    hold_last();
    kv_test_store(port, "other", "2");
    assert_int_equal(
        kv_test_http_status(port, "POST", "/storage/same", NULL, "{\"value\":1,\"ttl\":\"2h\"}"),
        202);
    assert_int_equal(
        kv_test_http_status(port, "PATCH", "/storage/touched", NULL, "{\"ttl\":\"2h\"}"), 202);
    let_go();
    await_last();
    kv_test_expect_value(port, "other", "2");
    kv_test_expect_value(port, "same", "1");
    kv_test_expect_value(port, "touched", "1");
    assert_in_range(ttl_of(state, "touched"), 3600001, 7200000);
}

static void a_plain_set_of_the_holder_ends_the_lease(void **state)
{
    hold("plain", "1", "1h");
    hold_last();
    kv_test_ws_send_text(&holder,
                         "{\"type\":\"set\",\"id\":3,\"payload\":{\"key\":\"plain\",\"value\":1,"
                         "\"ttl\":\"1h\"}}");
    kv_test_ws_expect_ok(&holder, "3", "\"plain\"");
    let_go();
    await_last();
    kv_test_expect_value(kv_test_port(state), "plain", "1");
}

static void a_lease_may_be_set_again(void **state)
{
    hold("again", "1", "1h");
    hold("again", "2", "2h");
    watch("again");
    assert_in_range(ttl_of(state, "again"), 3600001, 7200000);
    let_go();
    kv_test_ws_expect(&watcher, "{\"type\":\"no-value\",\"payload\":{\"key\":\"again\"}}");
}

static void a_set_that_fails_is_no_lease(void **state)
{
    kv_test_store(kv_test_port(state), "taken", "1");
    kv_test_ws_send_text(&holder,
                         "{\"type\":\"set\",\"id\":3,\"payload\":{\"key\":\"taken\",\"value\":2,"
                         "\"ttl\":\"1h\",\"while_connected\":true,\"if_absent\":true}}");
    kv_test_ws_expect_error(&holder, "3");
    hold_last();
    let_go();
    await_last();
    kv_test_expect_value(kv_test_port(state), "taken", "1");
}

static void a_short_ttl_is_an_error(void **state)
{
    kv_test_ws_send_text(&holder, "{\"type\":\"set\",\"payload\":{\"key\":\"short\",\"value\":1,"
                                  "\"ttl\":\"4s\",\"while_connected\":true}}");
    kv_test_ws_expect(&holder, "{\"type\":\"error\",\"payload\":\"payload: \\\"while_connected\\\" "
                               "needs a \\\"ttl\\\" of at least 5 s\"}");
    kv_test_expect_missing(kv_test_port(state), "short");
}

static void a_connection_has_a_limited_number_of_leases(void **state)
{
    char key[16];
    for (int i = 0; i < MOST; i++) {
        snprintf(key, sizeof(key), "most%d", i);
        hold(key, "1", "1h");
    }
    kv_test_ws_send_text(&holder, "{\"type\":\"set\",\"payload\":{\"key\":\"more\",\"value\":1,"
                                  "\"ttl\":\"1h\",\"while_connected\":true}}");
    kv_test_ws_expect(&holder,
                      "{\"type\":\"error\",\"payload\":\"too many leases on this connection\"}");
    kv_test_expect_missing(kv_test_port(state), "more");
    hold("most0", "2", "1h");
    kv_test_ws_send_text(&holder, "{\"type\":\"delete\",\"id\":4,\"payload\":{\"key\":\"most0\"}}");
    kv_test_ws_expect_ok(&holder, "4", "\"most0\"");
    hold("more", "1", "1h");
}

/* Asks for a lease of a key of so many bytes, whose name begins with the number. Returns: the
 * status. */
static int ask_for_long_key(struct kv_test_ws *ws, int number, const char *letters)
{
    struct kv_test_frame frame;
    kv_test_ws_send_text(ws,
                         "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"%d%s\",\"value\":1,"
                         "\"ttl\":\"1h\",\"while_connected\":true}}",
                         number, letters);
    assert_true(kv_test_ws_receive(ws, &frame));
    assert_int_equal(frame.opcode, KV_TEST_WS_TEXT);
    return memmem(frame.payload.bytes, frame.payload.len, "\"status\":507", 12) == NULL ? 200 : 507;
}

static void leases_count_for_the_memory_of_all_connections(void **state)
{
    enum {
        LEN = 8 << 10,
        MOST_LONG = 3000 /* more than the memory is for */
    };
    struct kv_test_server server;
    struct kv_test_ws first, second;
    char *letters = kv_test_letters('k', LEN);
    int n = 0;
    (void)state;
    kv_test_start(&server, "limits: {memory: 16MiB, leases: 100000}\n");
    kv_test_ws_open(&first, server.port);
    kv_test_ws_open(&second, server.port);
    letters[LEN - 1] = '\0';
    while (n < MOST_LONG && ask_for_long_key(&first, n, letters) == 200)
        n++;
    assert_in_range(n, 100, MOST_LONG - 1);
    assert_int_equal(ask_for_long_key(&first, 0, letters), 200); /* it has this one */
    assert_int_equal(ask_for_long_key(&second, MOST_LONG, ""), 200);
    kv_test_ws_close(&first);
    for (int i = 0; i < 10; i++)
        while (ask_for_long_key(&second, i, letters) != 200) /* until the first ones have ended */
            continue;
    kv_test_ws_close(&second);
    kv_test_server_stop_cleanly(&server);
    free(letters);
}

static int start(void **state)
{
    return kv_test_group_start_with(state, "limits: {leases: 4}\n");
}

#define LEASE_TEST(name) cmocka_unit_test_setup_teardown(name, open_both, close_both)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LEASE_TEST(a_key_ends_with_its_connection),
        LEASE_TEST(a_key_ends_with_a_closing_handshake_too),
        LEASE_TEST(the_end_of_a_connection_is_a_delete),
        LEASE_TEST(a_lease_is_renewed_and_nobody_is_told),
        LEASE_TEST(a_key_that_others_wrote_or_touched_stays),
        LEASE_TEST(a_plain_set_of_the_holder_ends_the_lease),
        LEASE_TEST(a_lease_may_be_set_again),
        LEASE_TEST(a_set_that_fails_is_no_lease),
        LEASE_TEST(a_short_ttl_is_an_error),
        LEASE_TEST(a_connection_has_a_limited_number_of_leases),
        cmocka_unit_test(leases_count_for_the_memory_of_all_connections),
    };
    return cmocka_run_group_tests(tests, start, kv_test_group_stop);
}
