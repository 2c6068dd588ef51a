/*
 * TTLs on a real clock. When the server takes a write up lies between the test's sending it and
 * the arrival of its answer, so its deadline lies between those two moments plus the TTL: before
 * the first every reader must see the value, after the second none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

enum {
    /* The server aims at 10 ms; a busy machine that runs tests gets more. */
    MAX_LATENESS_MS = 750,
    US = 1000,
};

/* The two moments between which a deadline lies. */
struct deadline {
    int64_t first_us;
    int64_t last_us;
};

static struct deadline deadline_between(int64_t first_us, int64_t last_us)
{
    int64_t error_us = kv_test_clock_error_ms() * US;
    return (struct deadline){first_us - error_us, last_us + error_us};
}

static struct deadline store_with_ttl(uint16_t port, const char *path, const char *ttl,
                                      int64_t ttl_ms)
{
    struct kv_buffer body = {0}, whole_path = {0};
    kv_buffer_printf(&body, "{\"value\":1,\"ttl\":%s}", ttl);
    kv_buffer_append_char(&body, '\0');
    kv_buffer_printf(&whole_path, "/storage/%s", path);
    kv_buffer_append_char(&whole_path, '\0');
    int64_t sent_us = kv_test_now_us();
    assert_int_equal(kv_test_http_status(port, "POST", whole_path.bytes, NULL, body.bytes), 202);
    int64_t answered_us = kv_test_now_us();
    kv_buffer_fini(&body);
    kv_buffer_fini(&whole_path);
    return deadline_between(sent_us + ttl_ms * US, answered_us + ttl_ms * US);
}

/* The milliseconds of KV-TTL; -1 where the header is not there. */
static int64_t ttl_left(uint16_t port, const char *path)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, port);
    assert_int_equal(kv_test_http_ask(&stream, "GET", path, NULL, NULL, &response), 200);
    const char *header = kv_test_response_header(&response, "kv-ttl");
    int64_t left = -1;
    if (header != NULL) {
        assert_int_equal(strspn(header, "0123456789"), strlen(header));
        left = strtoll(header, NULL, 10);
    }
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    return left;
}

/* One read whose answer is judged by the moments around it. Returns: whether it found the value. */
static bool check_http_read(struct kv_test_stream *stream, const char *path,
                            const struct deadline *deadline)
{
    struct kv_test_response response = {0};
    int64_t sent_us = kv_test_now_us();
    int status = kv_test_http_ask(stream, "GET", path, NULL, NULL, &response);
    int64_t answered_us = kv_test_now_us();
    if (answered_us < deadline->first_us)
        assert_int_equal(status, 200);
    if (sent_us >= deadline->last_us + US)
        assert_int_equal(status, 204);
    kv_test_response_fini(&response);
    return status == 200;
}

static bool check_ws_read(struct kv_test_ws *ws, const char *key, const struct deadline *deadline)
{
    struct kv_test_frame frame;
    int64_t sent_us = kv_test_now_us();
    kv_test_ws_send_text(ws, "{\"type\":\"get\",\"payload\":{\"key\":\"%s\"}}", key);
    assert_true(kv_test_ws_receive(ws, &frame));
    int64_t answered_us = kv_test_now_us();
    bool is_found = kv_slice_has_prefix(frame.payload, KV_SLICE("{\"type\":\"value\""));
    if (answered_us < deadline->first_us)
        assert_true(is_found);
    if (sent_us >= deadline->last_us + US)
        assert_false(is_found);
    return is_found;
}

static void value_is_there_until_its_deadline_and_gone_from_then_on_for_every_reader(void **state)
{
    enum {
        READERS = 4
    };
    struct kv_test_stream http[READERS];
    struct kv_test_ws ws[READERS];
    for (int i = 0; i < READERS; i++) {
        kv_test_stream_open(&http[i], kv_test_port(state));
        kv_test_ws_open(&ws[i], kv_test_port(state));
    }
    struct deadline deadline = store_with_ttl(kv_test_port(state), "second", "\"1s\"", 1000);
    while (kv_test_now_us() < deadline.last_us + 50 * US) {
        bool was_found = true;
        for (int i = 0; i < READERS; i++) {
            bool is_found = check_http_read(&http[i], "/storage/second", &deadline);
            assert_true(was_found || !is_found);
            was_found = check_ws_read(&ws[i], "second", &deadline);
            assert_true(is_found || !was_found);
        }
        kv_test_sleep_ms(1);
    }
    for (int i = 0; i < READERS; i++) {
        kv_test_stream_close(&http[i]);
        kv_test_ws_close(&ws[i]);
    }
}

/* Many short lives, so that they begin at any part of a millisecond. */
static void no_key_is_gone_before_its_ttl_has_passed(void **state)
{
    enum {
        LIVES = 40,
        TTL_MS = 20
    };
    struct kv_test_stream http;
    struct kv_test_ws ws;
    kv_test_stream_open(&http, kv_test_port(state));
    kv_test_ws_open(&ws, kv_test_port(state));
    for (int i = 0; i < LIVES; i++) {
        struct deadline deadline = store_with_ttl(kv_test_port(state), "short", "20", TTL_MS);
        while (check_http_read(&http, "/storage/short", &deadline))
            continue;
        /* When a set over WebSocket is taken up, no answer tells. */
        deadline = deadline_between(kv_test_now_us() + TTL_MS * US, INT64_MAX / 2);
        kv_test_ws_send_text(
            &ws, "{\"type\":\"set\",\"payload\":{\"key\":\"short\",\"value\":1,\"ttl\":20}}");
        while (check_ws_read(&ws, "short", &deadline))
            continue;
    }
    kv_test_ws_close(&ws);
    kv_test_stream_close(&http);
}

static void subscribers_are_told_at_the_deadline_and_not_before(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"told\"}}");
    kv_test_ws_expect_nothing(&ws);
    struct deadline deadline = store_with_ttl(kv_test_port(state), "told", "\"1s\"", 1000);
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"told\",\"value\":1}}");
    kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"told\"}}");
    int64_t told_us = kv_test_now_us();
    print_message("told %.3f ms after the deadline at most, %.3f ms at least\n",
                  (double)(told_us - deadline.first_us) / US,
                  (double)(told_us - deadline.last_us) / US);
    assert_true(told_us >= deadline.first_us);
    assert_true(told_us <= deadline.last_us + MAX_LATENESS_MS * US);
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void thousand_expiries_are_each_told_once_and_on_time(void **state)
{
    enum {
        KEYS = 1000,
        TTL_MS = 500
    };
    struct kv_test_ws ws, writer;
    bool is_told[KEYS] = {false};
    kv_test_ws_open(&ws, kv_test_port(state));
    for (int i = 0; i < KEYS; i++)
        kv_test_ws_put_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"many-%d\"}}", i);
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_open(&writer, kv_test_port(state));
    for (int i = 0; i < KEYS; i++)
        kv_test_ws_put_text(&writer,
                            "{\"type\":\"set\",\"payload\":{\"key\":\"many-%d\",\"value\":1,"
                            "\"ttl\":%d}}",
                            i, TTL_MS);
    kv_test_ws_expect_nothing(&writer);
    int64_t last_deadline_us = kv_test_now_us() + TTL_MS * US;
    for (int i = 0; i < 2 * KEYS; i++) {
        struct kv_test_frame frame;
        char text[100] = "";
        int key;
        assert_true(kv_test_ws_receive(&ws, &frame));
        assert_true(frame.payload.len < sizeof(text));
        memcpy(text, frame.payload.bytes, frame.payload.len);
        if (sscanf(text, "{\"type\":\"no-value\",\"payload\":{\"key\":\"many-%d\"}}", &key) != 1)
            continue;
        assert_in_range(key, 0, KEYS - 1);
        assert_false(is_told[key]);
        is_told[key] = true;
    }
    assert_true(kv_test_now_us() <= last_deadline_us + MAX_LATENESS_MS * US);
    for (int i = 0; i < KEYS; i++)
        assert_true(is_told[i]);
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&writer);
    kv_test_ws_close(&ws);
}

static void kv_ttl_tells_the_milliseconds_left(void **state)
{
    store_with_ttl(kv_test_port(state), "left", "60000", 60000);
    int64_t first = ttl_left(kv_test_port(state), "/storage/left");
    assert_in_range(first, 60000 - 5000, 60000 + kv_test_clock_error_ms());
    kv_test_sleep_ms(20);
    int64_t second = ttl_left(kv_test_port(state), "/storage/left");
    assert_true(second < first);
    kv_test_store(kv_test_port(state), "forever", "1");
    assert_int_equal(ttl_left(kv_test_port(state), "/storage/forever"), -1);
}

static void duration_means_what_the_contract_says(void **state)
{
    static const struct {
        const char *ttl;
        int64_t ms;
    } durations[] = {
        {"600000", 600000},
        {"6e5", 600000},
        {"599999.001", 600000},
        {"0.6e6", 600000},
        {"\"600000\"", 600000},
        {"\"600000ms\"", 600000},
        {"\"600000 msecs\"", 600000},
        {"\"600s\"", 600000},
        {"\"600 Seconds\"", 600000},
        {"\"10m\"", 600000},
        {"\"10 MINS\"", 600000},
        {"\"9m 60s\"", 600000},
        {"\"9m60s\"", 600000},
        {"\"4m 60 sec 5 minute\"", 600000},
        {"\"10 hours 1m 5s\"", 36065000},
        {"\"1.5h\"", 5400000},
        {"\".5d\"", 43200000},
        {"\"2days\"", 172800000},
        {"\"1h30m\"", 5400000},
        {"\"1h\\t30m \"", 5400000},
        {"\"1w\"", 604800000},
        {"\"1 month\"", 2629800000},
        {"\"1mo\"", 2629800000},
        {"\"1y\"", 31557600000},
        {"\"2 Yrs\"", 63115200000},
        {"9007199254740991", 9007199254740991},
    };
    for (size_t i = 0; i < N(durations); i++) {
        store_with_ttl(kv_test_port(state), "duration", durations[i].ttl, durations[i].ms);
        int64_t left = ttl_left(kv_test_port(state), "/storage/duration");
        int64_t most = durations[i].ms + kv_test_clock_error_ms();
        if (left > most || left < durations[i].ms - 5000)
            print_error("ttl %s: %lld ms left\n", durations[i].ttl, (long long)left);
        assert_in_range(left, durations[i].ms - 5000, most);
    }
}

static void ttl_of_zero_is_no_expiry(void **state)
{
    static const char *const ttls[] = {"0", "-0", "0.0", "0e9", "\"0\"", "\"0s\"", "\"0h 0m\""};
    for (size_t i = 0; i < N(ttls); i++) {
        store_with_ttl(kv_test_port(state), "zero", "100000", 100000);
        store_with_ttl(kv_test_port(state), "zero", ttls[i], 0);
        assert_int_equal(ttl_left(kv_test_port(state), "/storage/zero"), -1);
    }
}

static void fraction_is_rounded_up_to_a_whole_millisecond(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"fraction\"}}");
    kv_test_ws_expect_nothing(&ws);
    store_with_ttl(kv_test_port(state), "fraction", "1e-300", 1);
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"fraction\",\"value\":1}}");
    kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"fraction\"}}");
    kv_test_ws_close(&ws);
}

static void write_without_ttl_removes_an_earlier_one(void **state)
{
    struct deadline deadline = store_with_ttl(kv_test_port(state), "removed", "200", 200);
    kv_test_store(kv_test_port(state), "removed", "1");
    assert_int_equal(ttl_left(kv_test_port(state), "/storage/removed"), -1);
    kv_test_sleep_ms((deadline.last_us - kv_test_now_us()) / US + 50);
    kv_test_expect_value(kv_test_port(state), "removed", "1");
}

static void later_ttl_replaces_an_earlier_one(void **state)
{
    struct deadline deadline = store_with_ttl(kv_test_port(state), "longer", "200", 200);
    store_with_ttl(kv_test_port(state), "longer", "60000", 60000);
    store_with_ttl(kv_test_port(state), "shorter", "60000", 60000);
    struct deadline shorter = store_with_ttl(kv_test_port(state), "shorter", "200", 200);
    kv_test_sleep_ms((deadline.last_us - kv_test_now_us()) / US + 50);
    kv_test_sleep_ms((shorter.last_us - kv_test_now_us()) / US + 50);
    kv_test_expect_value(kv_test_port(state), "longer", "1");
    kv_test_expect_missing(kv_test_port(state), "shorter");
}

static void write_that_alters_nothing_sets_its_ttl_and_tells_nobody(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"renewed\"}}");
    kv_test_ws_expect_nothing(&ws); /* it is in force */
    kv_test_store(kv_test_port(state), "renewed", "1");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"renewed\",\"value\":1}}");
    store_with_ttl(kv_test_port(state), "renewed", "100000", 100000);
    assert_in_range(ttl_left(kv_test_port(state), "/storage/renewed"), 95000,
                    100000 + kv_test_clock_error_ms());
    store_with_ttl(kv_test_port(state), "renewed", "100", 100);
    kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"renewed\"}}");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void write_past_the_deadline_finds_the_key_missing(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"past\"}}");
    for (int i = 0; i < 20; i++) {
        kv_test_ws_send_text(
            &ws, "{\"type\":\"set\",\"payload\":{\"key\":\"past\",\"value\":1,\"ttl\":20}}");
        kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"past\",\"value\":1}}");
        /* A TTL lasts for less than a millisecond more. */
        kv_test_sleep_ms(21 + kv_test_clock_error_ms());
        /* The first deadline has just passed, whether its expiry was carried out or not. */
        kv_test_ws_send_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"past\",\"value\":1}}");
        kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"past\"}}");
        kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"past\",\"value\":1}}");
        kv_test_ws_send_text(&ws, "{\"type\":\"delete\",\"payload\":{\"key\":\"past\"}}");
        kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"past\"}}");
    }
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void conditions_find_an_expired_key_missing(void **state)
{
    struct deadline deadline = store_with_ttl(kv_test_port(state), "conditional", "30", 30);
    kv_test_sleep_ms((deadline.last_us - kv_test_now_us()) / US + 2);
    assert_int_equal(kv_test_http_status(kv_test_port(state), "POST", "/storage/conditional",
                                         "If-Match: *\r\n", "{\"value\":2}"),
                     412);
    assert_int_equal(kv_test_http_status(kv_test_port(state), "POST", "/storage/conditional",
                                         "If-None-Match: *\r\n", "{\"value\":3}"),
                     202);
    kv_test_expect_value(kv_test_port(state), "conditional", "3");
}

static void deleted_key_does_not_expire_again(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"payload\":{\"key\":\"once\"}}");
    kv_test_ws_expect_nothing(&ws);
    struct deadline deadline = store_with_ttl(kv_test_port(state), "once", "500", 500);
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"once\",\"value\":1}}");
    assert_int_equal(
        kv_test_http_status(kv_test_port(state), "DELETE", "/storage/once", NULL, NULL), 200);
    kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"once\"}}");
    kv_test_store(kv_test_port(state), "once", "2");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"once\",\"value\":2}}");
    kv_test_sleep_ms((deadline.last_us - kv_test_now_us()) / US + 50);
    kv_test_ws_expect_nothing(&ws);
    kv_test_expect_value(kv_test_port(state), "once", "2");
    kv_test_ws_close(&ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_is_there_until_its_deadline_and_gone_from_then_on_for_every_reader),
        cmocka_unit_test(no_key_is_gone_before_its_ttl_has_passed),
        cmocka_unit_test(subscribers_are_told_at_the_deadline_and_not_before),
        cmocka_unit_test(thousand_expiries_are_each_told_once_and_on_time),
        cmocka_unit_test(kv_ttl_tells_the_milliseconds_left),
        cmocka_unit_test(duration_means_what_the_contract_says),
        cmocka_unit_test(ttl_of_zero_is_no_expiry),
        cmocka_unit_test(fraction_is_rounded_up_to_a_whole_millisecond),
        cmocka_unit_test(write_without_ttl_removes_an_earlier_one),
        cmocka_unit_test(later_ttl_replaces_an_earlier_one),
        cmocka_unit_test(write_that_alters_nothing_sets_its_ttl_and_tells_nobody),
        cmocka_unit_test(write_past_the_deadline_finds_the_key_missing),
        cmocka_unit_test(conditions_find_an_expired_key_missing),
        cmocka_unit_test(deleted_key_does_not_expire_again),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
