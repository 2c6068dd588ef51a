/*
 * The sink `redis` with a real server that is killed, stopped and started again.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "peer.h"
#include "support/client/folder.h"
#include "support/client/port.h"

static char *folder;
static struct kv_test_peer redis;
static struct kv_test_server server;

static int set_up(void **state)
{
    (void)state;
    folder = kv_test_folder_make();
    redis = (struct kv_test_peer){.port = kv_test_port_reserve()};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kv_test_peer_end(&redis, SIGKILL);
    kv_test_folder_remove(folder);
    free(folder);
    return 0;
}

/* setting, value: one more of the program's; NULL: none. */
static void start_redis_with(const char *setting, const char *value)
{
    char port[8];
    snprintf(port, sizeof(port), "%d", redis.port);
    const char *const argv[] = {"redis-server", "--port",
                                port,           "--dir",
                                folder,         "--appendonly",
                                "yes",          "--appendfsync",
                                "always",       "--requirepass",
                                "secret",       setting,
                                value,          NULL};
    kv_test_peer_start(&redis, folder, argv);
}

static void start_redis(void)
{
    start_redis_with(NULL, NULL);
}

static void start_server(const char *more)
{
    struct kv_buffer yaml = {0};
    kv_buffer_printf(&yaml,
                     "sinks:\n  - {module: redis, retry: {first: 5ms, longest: 50ms}, options: "
                     "{port: %d, password: secret%s}}\n",
                     redis.port, more);
    kv_buffer_append_char(&yaml, '\0');
    kv_test_start(&server, yaml.bytes);
    kv_buffer_fini(&yaml);
}

static redisContext *connect_to_redis(void)
{
    redisContext *context = redisConnect("127.0.0.1", redis.port);
    assert_non_null(context);
    assert_int_equal(context->err, 0);
    redisReply *reply = redisCommand(context, "AUTH secret");
    freeReplyObject(reply);
    return context;
}

/* The text of a field of a stream's entry. */
static struct kv_slice field(const redisReply *entry, const char *name)
{
    const redisReply *fields = entry->element[1];
    for (size_t i = 0; i + 1 < fields->elements; i += 2)
        if (strcmp(fields->element[i]->str, name) == 0)
            return (struct kv_slice){fields->element[i + 1]->str, fields->element[i + 1]->len};
    fail_msg("there is no field %s", name);
    return KV_SLICE("");
}

static redisReply *read_stream(void)
{
    redisContext *context = connect_to_redis();
    redisReply *reply = redisCommand(context, "XRANGE kvserver - +");
    assert_non_null(reply);
    redisFree(context);
    return reply;
}

static redisReply *await_stream(size_t n)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    redisReply *reply = read_stream();
    while (reply->type != REDIS_REPLY_ARRAY || reply->elements < n) {
        if (kv_test_now_ms() > until_ms)
            fail_msg("%zu entries of %zu", reply->elements, n);
        freeReplyObject(reply);
        kv_test_sleep_ms(10);
        reply = read_stream();
    }
    return reply;
}

/* Of one key, as those of several come in any order; and the answer is waited for, as what was not
 * answered in time comes once more. */
static void stream_has_each_change(void **state)
{
    (void)state;
    start_redis();
    start_server(", timeout: 5m");
    kv_test_store(server.port, "%00e", "{\"x\":1}");
    assert_int_equal(kv_test_http_status(server.port, "DELETE", "/storage/%00e", NULL, NULL), 200);
    assert_int_equal(
        kv_test_http_status(server.port, "POST", "/storage/%00e", NULL, "{\"value\":2,\"ttl\":1}"),
        202);
    redisReply *reply = await_stream(4);
    static const char *const types[] = {"set", "delete", "set", "expire"};
    for (size_t i = 0; i < 4; i++) {
        struct kv_slice type = field(reply->element[i], "type");
        struct kv_slice key = field(reply->element[i], "key");
        assert_string_equal(type.bytes, types[i]);
        assert_true(kv_slice_equals(key, KV_SLICE("\0e")));
        assert_true(field(reply->element[i], "id").len > 32);
    }
    assert_non_null(strstr(field(reply->element[1], "event").bytes, "\"previous\":{\"x\":1}"));
    freeReplyObject(reply);
    kv_test_server_stop_cleanly(&server);
}

static void nothing_is_lost_while_redis_is_unavailable(void **state)
{
    (void)state;
    start_server(", timeout: 300ms");
    kv_test_write_numbers(server.port, 1, 20); /* it is not there yet */
    start_redis();
    kv_test_write_numbers(server.port, 21, 20);
    freeReplyObject(await_stream(40 * KV_TEST_SEEN_KEYS));
    kv_test_peer_end(&redis, SIGKILL);
    kv_test_write_numbers(server.port, 41, 20);
    start_redis();
    kv_test_write_numbers(server.port, 61, 20);
    kv_test_peer_signal(&redis, SIGSTOP);
    kv_test_write_numbers(server.port, 81, 20);
    kv_test_sleep_ms(700); /* longer than the sink waits for an answer */
    kv_test_peer_signal(&redis, SIGCONT);
    struct kv_test_seen seen = {0};
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    do {
        redisReply *reply = await_stream(100 * KV_TEST_SEEN_KEYS);
        seen = (struct kv_test_seen){0};
        for (size_t i = 0; i < reply->elements; i++)
            kv_test_seen_take(&seen, field(reply->element[i], "event"));
        freeReplyObject(reply);
        assert_true(kv_test_now_ms() < until_ms);
    } while (!kv_test_seen_all(&seen, 100));
    kv_test_server_stop_cleanly(&server);
}

static void refusal_by_redis_is_logged(void **state)
{
    (void)state;
    start_redis();
    start_server(", user: nobody");
    kv_test_store(server.port, "a", "1");
    char text[128];
    snprintf(text, sizeof(text), "sink/redis: not delivered: 127.0.0.1:%d: AUTH: WRONGPASS",
             redis.port);
    kv_test_await_log(&server, text);
    kv_test_server_kill(&server);
}

static void key_of_another_type_holds_the_events(void **state)
{
    (void)state;
    start_redis();
    redisContext *context = connect_to_redis();
    freeReplyObject(redisCommand(context, "SET kvserver text"));
    start_server("");
    kv_test_store(server.port, "a", "1");
    kv_test_await_log(&server, ": WRONGTYPE");
    freeReplyObject(redisCommand(context, "DEL kvserver"));
    redisFree(context);
    freeReplyObject(await_stream(1));
    kv_test_server_stop_cleanly(&server);
}

/* Writes three values, of which the second is longer than Redis takes. */
static void write_one_that_is_too_long(void)
{
    char *letters = kv_test_letters('x', 2 << 20);
    letters[0] = letters[(2 << 20) - 1] = '"';
    kv_test_store(server.port, "a", "1");
    kv_test_store(server.port, "a", letters);
    kv_test_store(server.port, "a", "3");
    free(letters);
}

/* The texts of its answers, and connections that it just closes, are both how it refuses. */
static void event_that_redis_never_accepts_is_dropped_alone(void **state)
{
    static const char *const limits[] = {"--proto-max-bulk-len", "--client-query-buffer-limit"};
    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        start_server("");
        write_one_that_is_too_long(); /* they come together, once it is there */
        start_redis_with(limits[i], "1mb");
        redisReply *reply = await_stream(2);
        assert_int_equal(reply->elements, 2);
        assert_non_null(strstr(field(reply->element[1], "event").bytes, "\"value\":3"));
        freeReplyObject(reply);
        kv_test_await_log(&server, "of key \"a\" (20");
        kv_test_server_stop_cleanly(&server);
        redisContext *context = connect_to_redis();
        freeReplyObject(redisCommand(context, "DEL kvserver"));
        redisFree(context);
        kv_test_peer_end(&redis, SIGKILL);
    }
}

static void unavailable_peer_is_named(void **state)
{
    char text[128];
    (void)state;
    start_server("");
    kv_test_store(server.port, "a", "1");
    snprintf(
        text, sizeof(text),
        "sink/redis: not delivered: cannot connect to Redis at 127.0.0.1:%d: Connection refused; 1 "
        "event waits",
        redis.port);
    kv_test_await_log(&server, text);
    kv_test_server_kill(&server);
}

static void channel_has_each_change_for_present_subscribers(void **state)
{
    (void)state;
    start_redis();
    start_server(", mode: publish, name: changes");
    redisContext *context = connect_to_redis();
    freeReplyObject(redisCommand(context, "SUBSCRIBE changes"));
    kv_test_write_numbers(server.port, 1, 10);
    struct kv_test_seen seen = {0};
    while (!kv_test_seen_all(&seen, 10)) {
        void *reply;
        assert_int_equal(redisGetReply(context, &reply), REDIS_OK);
        const redisReply *message = reply;
        kv_test_seen_take(&seen,
                          (struct kv_slice){message->element[2]->str, message->element[2]->len});
        freeReplyObject(reply);
    }
    redisFree(context);
    kv_test_server_stop_cleanly(&server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(stream_has_each_change),
        TEST(nothing_is_lost_while_redis_is_unavailable),
        TEST(refusal_by_redis_is_logged),
        TEST(key_of_another_type_holds_the_events),
        TEST(event_that_redis_never_accepts_is_dropped_alone),
        TEST(unavailable_peer_is_named),
        TEST(channel_has_each_change_for_present_subscribers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
