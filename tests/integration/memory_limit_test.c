/*
 * Crowds that make the server buffer much for each connection: all connections together use no more
 * than `limits.memory` and a quarter, others are served meanwhile, and the memory is released. The
 * measure is the resident memory of the process, compared with that before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crowd.h"

#define TIMEOUTS "timeouts: {request_progress: 60s, stalled_reader: 60s}\n"

/* At the latest these end connections of which the server reads nothing, and so sees no end. */
enum {
    TIMEOUT_MS = 60000, /* of TIMEOUTS */
};

static int group_start(void **state)
{
    return kv_test_group_start_with(state, CROWD_LIMITS TIMEOUTS);
}

/* A client with little to ask is served at once. */
static void expect_service(const struct crowd *crowd)
{
    kv_test_store(crowd->server->port, "small", "1");
    kv_test_expect_value(crowd->server->port, "small", "1");
}

/* Everybody sends what is queued, as far as the server takes it. */
static void press(struct crowd *crowd)
{
    while (crowd_press(crowd))
        expect_service(crowd);
    expect_service(crowd);
}

static void disperse(struct crowd *crowd)
{
    crowd_disperse(crowd, TIMEOUT_MS + KV_TEST_LIMIT_MS);
}

/* Values that are overwritten while answers that have them are not read: the store has them no
 * longer, and the connections keep them in memory. */
enum {
    VERSIONS = 10,
    GROUP = CROWD / VERSIONS, /* asks for one version */
    ASKED = 20,               /* by each of it; more than one may hold */
};

static void crowd_keeps_old_values(void **state, bool is_websocket, size_t len,
                                   void (*ask)(struct kv_test_ws *member, int which))
{
    crowd_needs_plain_memory();
    crowd_store_values(kv_test_port(state), 'a', len);
    struct crowd *crowd = crowd_gather(state, is_websocket);
    for (int version = 0; version < VERSIONS; version++) {
        for (int i = 0; i < GROUP; i++)
            for (int k = 0; k < ASKED; k++)
                ask(&crowd->members[version * GROUP + i], (i * GROUP + k) % CROWD_VALUES);
        press(crowd);
        crowd_store_values(kv_test_port(state), (char)('b' + version), len);
    }
    crowd_expect_bound(crowd);
    disperse(crowd);
}

static void ask_over_http(struct kv_test_ws *member, int which, const char *headers)
{
    char path[32];
    kv_test_http_write(&member->stream.out, "GET", kv_slice_of(crowd_path(which, path)), headers,
                       (struct kv_slice){0});
}

static void ask_plainly(struct kv_test_ws *member, int which)
{
    ask_over_http(member, which, NULL);
}

static void ask_libh2o(struct kv_test_ws *member, int which)
{
    ask_over_http(member, which, "Origin: http://localhost\r\n");
}

static void unread_answers_to_pipelines_stay_within_the_limit(void **state)
{
    crowd_keeps_old_values(state, false, MIB, ask_plainly);
}

/* One at a time. */
static void unread_answers_by_libh2o_stay_within_the_limit(void **state)
{
    crowd_keeps_old_values(state, false, (size_t)2 * MIB, ask_libh2o);
}

static void ask_messages(struct kv_test_ws *member, int which)
{
    kv_test_ws_put_text(member, "{\"type\":\"get\",\"payload\":{\"key\":\"long-%d\"}}", which);
}

static void unread_answers_to_messages_of_old_values_stay_within_the_limit(void **state)
{
    crowd_keeps_old_values(state, true, MIB, ask_messages);
}

/* Of values that the store has as well. */
static void unread_answers_to_messages_stay_within_the_limit(void **state)
{
    crowd_needs_plain_memory();
    crowd_store_values(kv_test_port(state), 'a', MIB);
    struct crowd *crowd = crowd_gather(state, true);
    for (int i = 0; i < CROWD; i++)
        for (int k = 0; k < 4 * CROWD_VALUES; k++)
            kv_test_ws_put_text(&crowd->members[i],
                                "{\"type\":\"get\",\"payload\":{\"key\":\"long-%d\"}}",
                                k % CROWD_VALUES);
    press(crowd);
    crowd_expect_bound(crowd);
    disperse(crowd);
}

/* Each asks once, so that none is over a limit of its own before. */
static void crowd_asks_once(void **state, const char *method, const char *path, const char *headers,
                            struct kv_slice body)
{
    crowd_needs_plain_memory();
    crowd_store_values(kv_test_port(state), 'a', MIB);
    struct crowd *crowd = crowd_gather(state, false);
    for (int i = 0; i < CROWD; i++)
        kv_test_http_write(&crowd->members[i].stream.out, method, kv_slice_of(path), headers, body);
    press(crowd);
    crowd_expect_bound(crowd);
    disperse(crowd);
}

/* More than a page holds. One key always fits into a page, so they are short. */
static void store_paged_values(uint16_t port)
{
    enum {
        PAGED = 400
    };
    char *value = crowd_make_value('v', (size_t)64 * KIB);
    char key[16];
    for (int i = 0; i < PAGED; i++) {
        snprintf(key, sizeof(key), "paged-%d", i);
        kv_test_store(port, key, value);
    }
    free(value);
}

static void unread_pages_stay_within_the_limit(void **state)
{
    store_paged_values(kv_test_port(state));
    crowd_asks_once(state, "GET", "/storage?prefix=paged-&values=true&limit=1000", NULL,
                    (struct kv_slice){0});
}

static void unread_pages_by_libh2o_stay_within_the_limit(void **state)
{
    store_paged_values(kv_test_port(state));
    crowd_asks_once(state, "GET", "/storage?prefix=paged-&values=true&limit=1000",
                    "Origin: http://localhost\r\n", (struct kv_slice){0});
}

static void unread_batches_stay_within_the_limit(void **state)
{
    char body[64 * CROWD_VALUES], *at = body;
    for (int i = 0; i < CROWD_VALUES; i++)
        at += sprintf(at, "%c{\"type\":\"get\",\"payload\":{\"key\":\"long-%d\"}}",
                      i == 0 ? '[' : ',', i);
    *at++ = ']';
    crowd_asks_once(state, "POST", "/batch", NULL, (struct kv_slice){body, (size_t)(at - body)});
}

static void bodies_that_do_not_end_stay_within_the_limit(void **state)
{
    crowd_needs_plain_memory();
    char *part = kv_test_letters(' ', 4 * MIB);
    struct crowd *crowd = crowd_gather(state, false);
    for (int i = 0; i < CROWD; i++) {
        struct kv_test_stream *stream = &crowd->members[i].stream;
        kv_test_stream_put(stream, KV_SLICE("POST /storage/body HTTP/1.1\r\nHost: localhost\r\n"
                                            "Content-Length: 8000000\r\n\r\n"));
        kv_test_stream_put(stream, kv_slice_of(part));
    }
    press(crowd);
    crowd_expect_bound(crowd);
    disperse(crowd);
    free(part);
}

static void chunks_that_do_not_end_stay_within_the_limit(void **state)
{
    enum {
        CHUNKS = 600000
    };
    crowd_needs_plain_memory();
    struct crowd *crowd = crowd_gather(state, false);
    for (int i = 0; i < CROWD; i++) {
        struct kv_test_stream *stream = &crowd->members[i].stream;
        kv_test_stream_put(stream, KV_SLICE("POST /storage/chunks HTTP/1.1\r\nHost: localhost\r\n"
                                            "Transfer-Encoding: chunked\r\n\r\n"));
        for (int k = 0; k < CHUNKS; k++)
            kv_test_stream_put(stream, KV_SLICE("1\r\n \r\n"));
    }
    press(crowd);
    crowd_expect_bound(crowd);
    disperse(crowd);
}

static void messages_that_do_not_end_stay_within_the_limit(void **state)
{
    crowd_needs_plain_memory();
    char *part = kv_test_letters(' ', 4 * MIB);
    struct crowd *crowd = crowd_gather(state, true);
    for (int i = 0; i < CROWD; i++)
        kv_test_ws_put_frame(&crowd->members[i], KV_TEST_WS_TEXT, kv_slice_of(part));
    press(crowd);
    crowd_expect_bound(crowd);
    disperse(crowd);
    free(part);
}

static void subscribers_that_do_not_read_stay_within_the_limit(void **state)
{
    enum {
        KEYS = 1000,
        CHANGES = 5 * KEYS,
        LEN = 900
    };
    crowd_needs_plain_memory();
    struct kv_test_ws writer;
    char *value = crowd_make_value('v', LEN);
    struct crowd *crowd = crowd_gather(state, true);
    for (int i = 0; i < CROWD; i++)
        for (int k = 0; k < KEYS; k++)
            kv_test_ws_put_text(&crowd->members[i],
                                "{\"type\":\"subscribe\",\"payload\":{\"key\":\"key-%d\"}}", k);
    press(crowd);
    crowd_begin_measuring(crowd);
    kv_test_ws_open(&writer, crowd->server->port);
    for (int k = 0; k < CHANGES; k++) {
        value[1 + k % 7] = (char)('a' + k % 26);
        kv_test_ws_put_text(&writer,
                            "{\"type\":\"set\",\"payload\":{\"key\":\"key-%d\",\"value\":%s}}",
                            k % KEYS, value);
        if (k % 100 == 0)
            kv_test_ws_expect_nothing(&writer);
    }
    kv_test_ws_expect_nothing(&writer);
    expect_service(crowd);
    crowd_expect_bound(crowd);
    kv_test_ws_close(&writer);
    disperse(crowd);
    free(value);
}

static void subscriptions_to_long_keys_stay_within_the_limit(void **state)
{
    enum {
        KEYS = 30,
        LEN = 60000
    };
    crowd_needs_plain_memory();
    char *key = kv_test_letters('k', LEN);
    struct crowd *crowd = crowd_gather(state, true);
    for (int i = 0; i < CROWD; i++)
        for (int k = 0; k < KEYS; k++)
            kv_test_ws_put_text(&crowd->members[i],
                                "{\"type\":\"subscribe\",\"payload\":{\"key\":\"%d-%d-%s\"}}", i, k,
                                key);
    press(crowd);
    crowd_expect_bound(crowd);
    disperse(crowd);
    free(key);
}

/* However much others hold, one with few subscriptions gets them, and what it is told. */
static void subscriptions_of_others_leave_room_for_some(void **state)
{
    struct kv_test_ws ws;
    char *key = kv_test_letters('k', 60000);
    struct crowd *crowd = crowd_gather(state, true);
    for (int i = 0; i < CROWD; i++)
        for (int k = 0; k < 20; k++)
            kv_test_ws_put_text(&crowd->members[i],
                                "{\"type\":\"subscribe\",\"payload\":{\"key\":\"%d-%d-%s\"}}", i, k,
                                key);
    press(crowd);
    kv_test_ws_open(&ws, crowd->server->port);
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"key\":\"few\"}}");
    kv_test_ws_expect_ok(&ws, "1", "\"few\"");
    kv_test_store(crowd->server->port, "few", "1");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"few\",\"value\":1}}");
    kv_test_ws_close(&ws);
    disperse(crowd);
    free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unread_answers_to_pipelines_stay_within_the_limit),
        cmocka_unit_test(unread_answers_by_libh2o_stay_within_the_limit),
        cmocka_unit_test(unread_answers_to_messages_of_old_values_stay_within_the_limit),
        cmocka_unit_test(unread_answers_to_messages_stay_within_the_limit),
        cmocka_unit_test(unread_pages_stay_within_the_limit),
        cmocka_unit_test(unread_pages_by_libh2o_stay_within_the_limit),
        cmocka_unit_test(unread_batches_stay_within_the_limit),
        cmocka_unit_test(bodies_that_do_not_end_stay_within_the_limit),
        cmocka_unit_test(chunks_that_do_not_end_stay_within_the_limit),
        cmocka_unit_test(messages_that_do_not_end_stay_within_the_limit),
        cmocka_unit_test(subscribers_that_do_not_read_stay_within_the_limit),
        cmocka_unit_test(subscriptions_to_long_keys_stay_within_the_limit),
        cmocka_unit_test(subscriptions_of_others_leave_room_for_some),
    };
    return cmocka_run_group_tests(tests, group_start, kv_test_group_stop);
}
