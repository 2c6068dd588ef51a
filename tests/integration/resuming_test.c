/* Subscriptions that begin with the present state, and those that continue where an earlier
 * connection was, over the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define SUBSCRIBE(payload) "{\"type\":\"subscribe\",\"payload\":" payload "}"

/* The next message, as a C string. */
static const char *next_message(struct kv_test_ws *ws)
{
    static char text[4096];
    struct kv_test_frame frame;
    assert_true(kv_test_ws_receive(ws, &frame));
    assert_true(frame.payload.len < sizeof(text));
    memcpy(text, frame.payload.bytes, frame.payload.len);
    text[frame.payload.len] = '\0';
    return text;
}

/* Where a client may resume. */
struct mark {
    uint64_t revision;
    char epoch[64];
};

static struct mark mark_of(const char *message)
{
    struct mark mark;
    const char *revision = strstr(message, "\"revision\":"),
               *epoch = strstr(message, "\"epoch\":\"");
    assert_non_null(revision);
    assert_non_null(epoch);
    mark.revision = strtoull(revision + 11, NULL, 10);
    assert_int_equal(sscanf(epoch + 9, "%63[^\"]", mark.epoch), 1);
    return mark;
}

static struct mark take_synced(struct kv_test_ws *ws, const char *pattern)
{
    const char *message = next_message(ws);
    kv_test_expect_part(message, "{\"type\":\"synced\",\"payload\":{");
    kv_test_expect_part(message, pattern);
    return mark_of(message);
}

#define expect_told(ws, key, value)                                                                \
    kv_test_ws_expect(ws, "{\"type\":\"value\",\"payload\":{\"key\":\"%s\",\"value\":%s}}", key,   \
                      value)
#define expect_told_gone(ws, key)                                                                  \
    kv_test_ws_expect(ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"%s\"}}", key)

static void put_since(struct kv_test_ws *ws, const char *pattern, const struct mark *mark)
{
    kv_test_ws_send_text(
        ws, "{\"type\":\"subscribe\",\"payload\":{%s,\"since\":%llu,\"epoch\":\"%s\"}}", pattern,
        (unsigned long long)mark->revision, mark->epoch);
}

static void initial_of_a_key_is_its_state_then_synced_then_changes(void **state)
{
    struct kv_test_ws ws;
    uint16_t port = kv_test_port(state);
    kv_test_store(port, "one", "[ 1 ]");
    kv_test_ws_open(&ws, port);
    kv_test_ws_send_text(
        &ws, "{\"type\":\"subscribe\",\"id\":7,\"payload\":{\"key\":\"one\",\"initial\":true}}");
    kv_test_ws_expect(&ws, "{\"type\":\"ok\",\"id\":7,\"payload\":{\"key\":\"one\"}}");
    expect_told(&ws, "one", "[ 1 ]");
    take_synced(&ws, "\"key\":\"one\"");
    kv_test_store(port, "one", "2");
    expect_told(&ws, "one", "2");
    kv_test_ws_send_text(&ws, SUBSCRIBE("{\"key\":\"none\",\"initial\":true}"));
    expect_told_gone(&ws, "none");
    take_synced(&ws, "\"key\":\"none\"");
    kv_test_ws_close(&ws);
}

static void initial_of_a_prefix_is_every_key_under_it_then_synced(void **state)
{
    struct kv_test_ws ws;
    uint16_t port = kv_test_port(state);
    char key[32], part[64];
    bool is_seen[200] = {0};
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof(key), "every%%2F%d", i);
        kv_test_store(port, key, "1");
    }
    kv_test_store(port, "everyone", "2");
    kv_test_ws_open(&ws, port);
    kv_test_ws_send_text(&ws, SUBSCRIBE("{\"prefix\":\"every/\",\"initial\":true,\"meta\":true}"));
    for (int n = 0; n < 200; n++) {
        const char *message = next_message(&ws);
        int i = atoi(strstr(message, "every/") + 6);
        snprintf(part, sizeof(part), "{\"key\":\"every/%d\",\"revision\":", i);
        kv_test_expect_part(message, part);
        kv_test_expect_part(message, "\"epoch\":\"");
        assert_null(strstr(message, "\"reason\""));
        assert_false(is_seen[i]);
        is_seen[i] = true;
    }
    take_synced(&ws, "\"prefix\":\"every/\"");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void since_continues_where_the_connection_before_was(void **state)
{
    struct kv_test_ws ws;
    uint16_t port = kv_test_port(state);
    kv_test_store(port, "re%2Fa", "1");
    kv_test_ws_open(&ws, port);
    kv_test_ws_send_text(&ws, SUBSCRIBE("{\"prefix\":\"re/\",\"initial\":true}"));
    expect_told(&ws, "re/a", "1");
    struct mark mark = take_synced(&ws, "\"prefix\":\"re/\"");
    kv_test_ws_close(&ws);
    kv_test_store(port, "re%2Fb", "2");
    kv_test_store(port, "re%2Fa", "3");
    kv_test_http_status(port, "DELETE", "/storage/re%2Fb", NULL, NULL);
    kv_test_store(port, "other", "4");
    kv_test_ws_open(&ws, port);
    put_since(&ws, "\"prefix\":\"re/\"", &mark);
    expect_told(&ws, "re/b", "2");
    expect_told(&ws, "re/a", "3");
    expect_told_gone(&ws, "re/b");
    struct mark later = take_synced(&ws, "\"prefix\":\"re/\"");
    assert_true(later.revision > mark.revision);
    assert_string_equal(later.epoch, mark.epoch);
    kv_test_store(port, "re%2Fa", "5");
    expect_told(&ws, "re/a", "5");
    kv_test_ws_close(&ws);
    kv_test_ws_open(&ws, port);
    put_since(&ws, "\"key\":\"re/a\"", &later);
    expect_told(&ws, "re/a", "5");
    take_synced(&ws, "\"key\":\"re/a\"");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void overlapping_replays_tell_each_change_once(void **state)
{
    struct kv_test_ws ws;
    uint16_t port = kv_test_port(state);
    kv_test_ws_open(&ws, port);
    kv_test_ws_send_text(&ws, SUBSCRIBE("{\"prefix\":\"lap/\",\"initial\":true}"));
    struct mark mark = take_synced(&ws, "\"prefix\":\"lap/\"");
    kv_test_ws_close(&ws);
    kv_test_store(port, "lap%2Fa%2F1", "1");
    kv_test_store(port, "lap%2Fb", "2");
    kv_test_ws_open(&ws, port);
    put_since(&ws, "\"key\":\"lap/a/1\"", &mark);
    put_since(&ws, "\"prefix\":\"lap/a/\"", &mark);
    put_since(&ws, "\"prefix\":\"lap/\"", &mark);
    int n_states = 0;
    for (int n_synced = 0; n_synced < 3;) {
        bool is_synced = strstr(next_message(&ws), "\"synced\"") != NULL;
        n_synced += is_synced;
        n_states += !is_synced;
    }
    assert_int_equal(n_states, 2);
    put_since(&ws, "\"prefix\":\"la\"", &mark); /* those that are synced have told it all */
    take_synced(&ws, "\"prefix\":\"la\"");
    kv_test_store(port, "lap%2Fa%2F1", "3");
    expect_told(&ws, "lap/a/1", "3");
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void change_is_a_mark_to_resume_from(void **state)
{
    struct kv_test_ws ws;
    uint16_t port = kv_test_port(state);
    kv_test_ws_open(&ws, port);
    kv_test_ws_send_text(&ws, SUBSCRIBE("{\"prefix\":\"mark/\",\"initial\":true,\"meta\":true}"));
    take_synced(&ws, "\"prefix\":\"mark/\"");
    kv_test_store(port, "mark%2Fa", "1");
    const struct mark mark = mark_of(next_message(&ws));
    kv_test_store(port, "mark%2Fb", "2");
    kv_test_ws_close(&ws);
    kv_test_ws_open(&ws, port);
    put_since(&ws, "\"prefix\":\"mark/\"", &mark);
    expect_told(&ws, "mark/b", "2");
    take_synced(&ws, "\"prefix\":\"mark/\"");
    kv_test_ws_close(&ws);
}

static void since_that_cannot_be_continued_resets(void **state)
{
    struct kv_test_ws ws;
    uint16_t port = kv_test_port(state);
    kv_test_store(port, "lost", "1");
    kv_test_ws_open(&ws, port);
    kv_test_ws_send_text(&ws, SUBSCRIBE("{\"key\":\"lost\",\"initial\":true}"));
    expect_told(&ws, "lost", "1");
    const struct mark mark = take_synced(&ws, "\"key\":\"lost\"");
    struct mark lost[3] = {mark, mark, mark};
    lost[0].revision = 1;
    lost[1].revision += 1000000000;
    lost[2].epoch[0] ^= 1;
    for (int i = 0; i < 3; i++) {
        put_since(&ws, "\"key\":\"lost\"", &lost[i]);
        kv_test_expect_part(next_message(&ws), "{\"type\":\"reset\",\"payload\":{\"key\":\"lost\"");
        expect_told(&ws, "lost", "1");
        take_synced(&ws, "\"key\":\"lost\"");
    }
    kv_test_ws_close(&ws);
}

static void since_without_epoch_is_an_error(void **state)
{
    struct kv_test_ws ws;
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws, SUBSCRIBE("{\"key\":\"k\",\"since\":1}"));
    kv_test_ws_expect_error(&ws, NULL);
    kv_test_ws_close(&ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(initial_of_a_key_is_its_state_then_synced_then_changes),
        cmocka_unit_test(initial_of_a_prefix_is_every_key_under_it_then_synced),
        cmocka_unit_test(since_continues_where_the_connection_before_was),
        cmocka_unit_test(overlapping_replays_tell_each_change_once),
        cmocka_unit_test(change_is_a_mark_to_resume_from),
        cmocka_unit_test(since_that_cannot_be_continued_resets),
        cmocka_unit_test(since_without_epoch_is_an_error),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
