/* touch, increment, merge, hello and get with meta over WebSocket; and many clients that update one
 * key at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

enum {
    CLIENTS = 8,
    ROUNDS = 400 / KV_TEST_SHARE
};

static struct kv_test_ws ws;

static int open_ws(void **state)
{
    kv_test_ws_open(&ws, kv_test_port(state));
    return 0;
}

static int close_ws(void **state)
{
    (void)state;
    kv_test_ws_close(&ws);
    return 0;
}

/* The next message, with its revision in the place of `%`, and up to there. Returns: the revision.
 */
static uint64_t expect_with_revision(const char *before, const char *after)
{
    struct kv_test_frame frame;
    assert_true(kv_test_ws_receive(&ws, &frame));
    char text[1024];
    snprintf(text, sizeof(text), "%.*s", (int)frame.payload.len, frame.payload.bytes);
    if (strncmp(text, before, strlen(before)) != 0)
        fail_msg("%s does not begin with %s", text, before);
    char *end;
    uint64_t revision = strtoull(text + strlen(before), &end, 10);
    assert_string_equal(end, after);
    assert_true(revision != 0);
    return revision;
}

static void increments_are_answered_with_the_sum(void **state)
{
    (void)state;
    kv_test_ws_send_text(&ws, "{\"type\":\"increment\",\"payload\":{\"key\":\"n\"}}");
    uint64_t first = expect_with_revision(
        "{\"type\":\"value\",\"payload\":{\"key\":\"n\",\"revision\":", ",\"value\":1}}");
    kv_test_ws_send_text(&ws,
                         "{\"type\":\"increment\",\"id\":7,\"payload\":{\"key\":\"n\",\"by\":-5}}");
    uint64_t second = expect_with_revision(
        "{\"type\":\"value\",\"id\":7,\"payload\":{\"key\":\"n\",\"revision\":", ",\"value\":-4}}");
    assert_true(second > first);
    kv_test_expect_value(kv_test_port(state), "n", "-4");
}

static void an_increment_of_another_value_is_an_error(void **state)
{
    kv_test_store(kv_test_port(state), "s", "\"text\"");
    kv_test_ws_send_text(&ws, "{\"type\":\"increment\",\"id\":1,\"payload\":{\"key\":\"s\"}}");
    kv_test_ws_expect(&ws,
                      "{\"type\":\"error\",\"id\":1,\"payload\":\"the value must be an integer "
                      "between -2^63+1 and 2^63-1\",\"status\":409}");
    kv_test_expect_value(kv_test_port(state), "s", "\"text\"");
}

static void merges_are_answered_with_the_value(void **state)
{
    kv_test_store(kv_test_port(state), "doc", "{\"a\": 1}");
    kv_test_ws_send_text(
        &ws, "{\"type\":\"merge\",\"payload\":{\"key\":\"doc\",\"patch\":{\"b\":[2],\"a\":null}}}");
    expect_with_revision("{\"type\":\"value\",\"payload\":{\"key\":\"doc\",\"revision\":",
                         ",\"value\":{\"b\":[2]}}}");
}

static void a_touch_is_answered_if_the_key_is_missing_or_it_has_an_id(void **state)
{
    kv_test_store(kv_test_port(state), "t", "1");
    kv_test_ws_send_text(&ws, "{\"type\":\"touch\",\"payload\":{\"key\":\"t\",\"ttl\":\"1h\"}}");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_send_text(
        &ws, "{\"type\":\"touch\",\"id\":1,\"payload\":{\"key\":\"t\",\"ttl\":\"1h\"}}");
    assert_true(kv_test_ws_expect_ok(&ws, "1", "\"t\"") != 0);
    kv_test_ws_send_text(&ws, "{\"type\":\"touch\",\"payload\":{\"key\":\"none\",\"ttl\":\"1h\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"none\"}}");
}

static void a_touch_is_not_notified(void **state)
{
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"id\":0,\"payload\":{\"key\":\"quiet\"}}");
    kv_test_ws_expect_ok(&ws, "0", "\"quiet\"");
    kv_test_store(kv_test_port(state), "quiet", "1");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"quiet\",\"value\":1}}");
    kv_test_ws_send_text(
        &ws, "{\"type\":\"touch\",\"id\":1,\"payload\":{\"key\":\"quiet\",\"ttl\":\"1h\"}}");
    kv_test_ws_expect_ok(&ws, "1", "\"quiet\"");
    kv_test_ws_expect_nothing(&ws);
}

static void changes_by_updates_are_notified(void **state)
{
    (void)state;
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"key\":\"told\"}}");
    kv_test_ws_expect_ok(&ws, "1", "\"told\"");
    assert_int_equal(kv_test_http_status(kv_test_port(state), "PATCH", "/storage/told", NULL,
                                         "{\"increment\":3}"),
                     200);
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"told\",\"value\":3}}");
}

/* The epoch in a message, which must begin with `before`. */
static void get_epoch(const char *text, char epoch[64])
{
    const char *at = strstr(text, "\"epoch\":\"");
    assert_non_null(at);
    snprintf(epoch, 64, "%.*s", (int)strcspn(at + 9, "\""), at + 9);
}

static void a_get_with_meta_has_revision_epoch_and_ttl(void **state)
{
    char text[512], epoch[64], expected[512];
    struct kv_test_frame frame;
    kv_test_http_status(kv_test_port(state), "POST", "/storage/meta", NULL,
                        "{\"value\":1,\"ttl\":\"1h\"}");
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"meta\",\"meta\":true}}");
    assert_true(kv_test_ws_receive(&ws, &frame));
    snprintf(text, sizeof(text), "%.*s", (int)frame.payload.len, frame.payload.bytes);
    get_epoch(text, epoch);
    kv_test_expect_part(text, "\"revision\":");
    kv_test_expect_part(text, "\"ttl\":3");
    kv_test_expect_part(text, "\"value\":1}}");
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"no-meta\",\"meta\":true}}");
    snprintf(expected, sizeof(expected),
             "{\"type\":\"no-value\",\"payload\":{\"key\":\"no-meta\",\"epoch\":\"%s\"}}", epoch);
    kv_test_ws_expect(&ws, "%s", expected);
}

static void a_hello_describes_the_server(void **state)
{
    char text[512], epoch[64];
    struct kv_test_frame frame;
    (void)state;
    kv_test_ws_send_text(&ws, "{\"type\":\"hello\",\"id\":\"h\"}");
    assert_true(kv_test_ws_receive(&ws, &frame));
    snprintf(text, sizeof(text), "%.*s", (int)frame.payload.len, frame.payload.bytes);
    kv_test_expect_part(text, "{\"type\":\"hello\",\"id\":\"h\",\"payload\":"
                              "{\"server\":\"kvserver\",\"version\":\"");
    get_epoch(text, epoch);
    assert_true(strlen(epoch) > 0);
    kv_test_expect_part(text, "\"limits\":{\"key\":");
    kv_test_expect_part(text, ",\"message\":");
}

static void answers_have_the_order_of_the_requests(void **state)
{
    (void)state;
    kv_test_ws_put_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"o\",\"value\":1}}");
    kv_test_ws_put_text(&ws, "{\"type\":\"increment\",\"payload\":{\"key\":\"o\",\"by\":2}}");
    kv_test_ws_put_text(&ws, "{\"type\":\"merge\",\"payload\":{\"key\":\"o\",\"patch\":10}}");
    kv_test_ws_put_text(&ws, "{\"type\":\"increment\",\"payload\":{\"key\":\"o\",\"by\":2}}");
    kv_test_ws_put_text(&ws, "{\"type\":\"increment\",\"payload\":{\"key\":\"p\",\"by\":2}}");
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"o\"}}");
    expect_with_revision("{\"type\":\"value\",\"payload\":{\"key\":\"o\",\"revision\":",
                         ",\"value\":3}}");
    expect_with_revision("{\"type\":\"value\",\"payload\":{\"key\":\"o\",\"revision\":",
                         ",\"value\":10}}");
    expect_with_revision("{\"type\":\"value\",\"payload\":{\"key\":\"o\",\"revision\":",
                         ",\"value\":12}}");
    expect_with_revision("{\"type\":\"value\",\"payload\":{\"key\":\"p\",\"revision\":",
                         ",\"value\":2}}");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"o\",\"value\":12}}");
}

/* ---- many at once ---- */

struct racer {
    struct kv_test_ws ws;
    int n_sent;
    int n_done;
    bool is_waiting;   /* compare-and-set: for an answer */
    uint64_t revision; /* of the value that was read */
    long value;
};

static void send_round(struct racer *racer, int i)
{
    switch (i % 3) {
    case 0:
        kv_test_ws_send_text(&racer->ws, "{\"type\":\"increment\",\"payload\":{\"key\":\"race\"}}");
        break;
    case 1:
        kv_test_ws_send_text(
            &racer->ws,
            "{\"type\":\"merge\",\"payload\":{\"key\":\"race-doc\",\"patch\":{\"c%d\":%d}}}", i,
            racer->n_sent);
        break;
    default:
        kv_test_ws_send_text(&racer->ws,
                             "{\"type\":\"get\",\"payload\":{\"key\":\"race\",\"meta\":true}}");
    }
}

static long number_after(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    if (at == NULL)
        fail_msg("no %s in %s", name, text);
    return at == NULL ? 0 : atol(at + strlen(name));
}

/* A compare-and-set: get, then set on the condition of its revision; both are answered. */
static void take_answer(struct racer *racer, int i, const char *text)
{
    if (i % 3 != 2) {
        kv_test_expect_part(text, "{\"type\":\"value\"");
        racer->n_done++;
    } else if (strncmp(text, "{\"type\":\"value\"", 15) == 0) {
        kv_test_ws_send_text(
            &racer->ws,
            "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"race\",\"value\":%ld,"
            "\"if_revision\":%ld}}",
            number_after(text, "\"value\":") + 1, number_after(text, "\"revision\":"));
        return;
    } else if (strncmp(text, "{\"type\":\"ok\"", 12) == 0) {
        racer->n_done++;
    } else {
        kv_test_expect_part(text, "the condition does not hold");
        racer->n_sent--;
    }
    if (++racer->n_sent < ROUNDS)
        send_round(racer, i);
}

static void no_update_of_a_contended_key_by_any_means_is_lost(void **state)
{
    static struct racer racers[CLIENTS];
    struct kv_test_stream *streams[CLIENTS];
    char expected[64];
    int n_adding = 0;
    kv_test_store(kv_test_port(state), "race", "0");
    for (int i = 0; i < CLIENTS; i++) {
        racers[i] = (struct racer){0};
        kv_test_ws_open(&racers[i].ws, kv_test_port(state));
        streams[i] = &racers[i].ws.stream;
        n_adding += i % 3 != 1;
    }
    for (int i = 0; i < CLIENTS; i++)
        send_round(&racers[i], i);
    for (int n_done = 0; n_done < CLIENTS * ROUNDS;) {
        assert_true(kv_test_stream_turn(streams, CLIENTS, KV_TEST_LIMIT_MS));
        n_done = 0;
        for (int i = 0; i < CLIENTS; i++) {
            struct kv_test_frame frame;
            while (kv_test_ws_take(&racers[i].ws, &frame)) {
                char text[512];
                snprintf(text, sizeof(text), "%.*s", (int)frame.payload.len, frame.payload.bytes);
                take_answer(&racers[i], i, text);
            }
            n_done += racers[i].n_done;
        }
    }
    snprintf(expected, sizeof(expected), "%d", n_adding * ROUNDS);
    kv_test_expect_value(kv_test_port(state), "race", expected);
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, kv_test_port(state));
    kv_test_http_ask(&stream, "GET", "/storage/race-doc", NULL, NULL, &response);
    kv_buffer_append_char(&response.body, '\0');
    for (int i = 1; i < CLIENTS; i += 3) {
        snprintf(expected, sizeof(expected), "\"c%d\":%d", i, ROUNDS - 1);
        kv_test_expect_part(response.body.bytes, expected);
    }
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    for (int i = 0; i < CLIENTS; i++)
        kv_test_ws_close(&racers[i].ws);
}

#define UPDATE_TEST(name) cmocka_unit_test_setup_teardown(name, open_ws, close_ws)

int main(void)
{
    const struct CMUnitTest tests[] = {
        UPDATE_TEST(increments_are_answered_with_the_sum),
        UPDATE_TEST(an_increment_of_another_value_is_an_error),
        UPDATE_TEST(merges_are_answered_with_the_value),
        UPDATE_TEST(a_touch_is_answered_if_the_key_is_missing_or_it_has_an_id),
        UPDATE_TEST(a_touch_is_not_notified),
        UPDATE_TEST(changes_by_updates_are_notified),
        UPDATE_TEST(a_get_with_meta_has_revision_epoch_and_ttl),
        UPDATE_TEST(a_hello_describes_the_server),
        UPDATE_TEST(answers_have_the_order_of_the_requests),
        cmocka_unit_test(no_update_of_a_contended_key_by_any_means_is_lost),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
