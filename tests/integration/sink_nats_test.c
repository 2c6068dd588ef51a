/*
 * The sink `nats` with a real server that is killed, stopped and started again.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <nats/nats.h>

#include "peer.h"
#include "support/client/folder.h"
#include "support/client/port.h"

static char *folder;
static struct kv_test_peer nats;
static struct kv_test_server server;

static int set_up(void **state)
{
    (void)state;
    folder = kv_test_folder_make();
    nats = (struct kv_test_peer){.port = kv_test_port_reserve()};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kv_test_peer_end(&nats, SIGKILL);
    kv_test_folder_remove(folder);
    free(folder);
    return 0;
}

/* With further configuration. */
static void start_nats_with(const char *more)
{
    char port[8];
    kv_test_file_put(folder, "nats.conf", more);
    char *config = kv_test_path(folder, "nats.conf");
    snprintf(port, sizeof(port), "%d", nats.port);
    const char *const argv[] = {"nats-server", "-c",  config,        "-a",   "127.0.0.1", "-p",
                                port,          "-js", "--store_dir", folder, NULL};
    kv_test_peer_start(&nats, folder, argv);
    free(config);
}

static void start_nats(void)
{
    start_nats_with("");
}

static natsConnection *connect_to_nats(void)
{
    char url[64];
    natsConnection *connection = NULL;
    snprintf(url, sizeof(url), "nats://127.0.0.1:%d", nats.port);
    assert_int_equal(natsConnection_ConnectTo(&connection, url), NATS_OK);
    return connection;
}

/* max_bytes: of a message; -1: no limit. */
static void make_stream_with_limit(int max_bytes)
{
    natsConnection *connection = connect_to_nats();
    jsCtx *context = NULL;
    jsStreamConfig config;
    jsErrCode code;
    const char *subjects[] = {"kv.*"};
    jsStreamConfig_Init(&config);
    config.Name = "CHANGES";
    config.Subjects = subjects;
    config.SubjectsLen = 1;
    config.MaxMsgSize = max_bytes;
    assert_int_equal(natsConnection_JetStream(&context, connection, NULL), NATS_OK);
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    while (js_AddStream(NULL, context, &config, NULL, &code) != NATS_OK)
        assert_true(kv_test_now_ms() < until_ms); /* it listens before it is ready for that */
    jsCtx_Destroy(context);
    natsConnection_Destroy(connection);
}

static void make_stream(void)
{
    make_stream_with_limit(-1);
}

static void start_server(const char *more)
{
    struct kv_buffer yaml = {0};
    kv_buffer_printf(&yaml,
                     "sinks:\n  - {module: nats, retry: {first: 5ms, longest: 50ms}, options: "
                     "{servers: ['nats://127.0.0.1:%d'], subject: kv, timeout: 500ms%s}}\n",
                     nats.port, more);
    kv_buffer_append_char(&yaml, '\0');
    kv_test_start(&server, yaml.bytes);
    kv_buffer_fini(&yaml);
}

/* Reads what the stream has, from its beginning, until all numbers are there. */
static void await_stream(int n)
{
    natsConnection *connection = connect_to_nats();
    jsCtx *context = NULL;
    natsSubscription *subscription = NULL;
    struct kv_test_seen seen = {0};
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    jsErrCode code;
    assert_int_equal(natsConnection_JetStream(&context, connection, NULL), NATS_OK);
    assert_int_equal(js_SubscribeSync(&subscription, context, "kv.*", NULL, NULL, &code), NATS_OK);
    while (!kv_test_seen_all(&seen, n)) {
        natsMsg *message = NULL;
        if (natsSubscription_NextMsg(&message, subscription, 1000) == NATS_OK)
            kv_test_seen_take(&seen, (struct kv_slice){natsMsg_GetData(message),
                                                       (size_t)natsMsg_GetDataLength(message)});
        natsMsg_Destroy(message);
        if (kv_test_now_ms() > until_ms)
            fail_msg("k0 is at %d of %d", seen.last[0], n);
    }
    assert_int_equal(seen.n_repeated, 0); /* the stream drops what has the same Nats-Msg-Id */
    natsSubscription_Destroy(subscription);
    jsCtx_Destroy(context);
    natsConnection_Destroy(connection);
}

static void nothing_is_lost_or_duplicated_while_the_server_is_unavailable(void **state)
{
    (void)state;
    start_server(", jetstream: true");
    kv_test_write_numbers(server.port, 1, 20); /* it is not there yet */
    start_nats();
    make_stream();
    kv_test_write_numbers(server.port, 21, 20);
    await_stream(40);
    kv_test_peer_end(&nats, SIGKILL);
    kv_test_write_numbers(server.port, 41, 20);
    start_nats();
    kv_test_write_numbers(server.port, 61, 20);
    kv_test_peer_signal(&nats, SIGSTOP);
    kv_test_write_numbers(server.port, 81, 20);
    kv_test_sleep_ms(1000); /* longer than the sink waits for an answer */
    kv_test_peer_signal(&nats, SIGCONT);
    await_stream(100);
    kv_test_server_stop_cleanly(&server);
}

static void missing_stream_is_logged(void **state)
{
    (void)state;
    start_nats();
    start_server(", jetstream: true");
    kv_test_store(server.port, "k0", "1");
    kv_test_await_log(&server, "(no stream takes this subject)");
    make_stream();
    kv_test_await_log(&server, "sink/nats: delivers again");
    kv_test_server_stop_cleanly(&server);
}

static void plain_subjects_have_the_type_and_an_id(void **state)
{
    (void)state;
    natsSubscription *subscription = NULL;
    natsMsg *message = NULL;
    const char *id = NULL;
    start_nats();
    natsConnection *connection = connect_to_nats();
    assert_int_equal(natsConnection_SubscribeSync(&subscription, connection, "kv.>"), NATS_OK);
    assert_int_equal(natsConnection_Flush(connection), NATS_OK);
    start_server("");
    kv_test_store(server.port, "k0", "1");
    assert_int_equal(natsSubscription_NextMsg(&message, subscription, KV_TEST_LIMIT_MS), NATS_OK);
    assert_string_equal(natsMsg_GetSubject(message), "kv.set");
    assert_int_equal(natsMsgHeader_Get(message, "Nats-Msg-Id", &id), NATS_OK);
    assert_non_null(strstr(natsMsg_GetData(message), id));
    natsMsg_Destroy(message);
    assert_int_equal(kv_test_http_status(server.port, "DELETE", "/storage/k0", NULL, NULL), 200);
    assert_int_equal(natsSubscription_NextMsg(&message, subscription, KV_TEST_LIMIT_MS), NATS_OK);
    assert_string_equal(natsMsg_GetSubject(message), "kv.delete");
    natsMsg_Destroy(message);
    natsSubscription_Destroy(subscription);
    natsConnection_Destroy(connection);
    kv_test_server_stop_cleanly(&server);
}

static void event_beyond_the_servers_limit_is_dropped_alone(void **state)
{
    (void)state;
    natsSubscription *subscription = NULL;
    natsMsg *message = NULL;
    start_nats();
    natsConnection *connection = connect_to_nats();
    assert_int_equal(natsConnection_SubscribeSync(&subscription, connection, "kv.>"), NATS_OK);
    assert_int_equal(natsConnection_Flush(connection), NATS_OK);
    start_server("");
    struct kv_buffer value = {0};
    char *letters = kv_test_letters('x', 2 << 20);
    kv_buffer_printf(&value, "\"%s\"", letters);
    kv_buffer_append_char(&value, '\0');
    kv_test_store(server.port, "k0", value.bytes);
    kv_test_store(server.port, "k0", "1");
    assert_int_equal(natsSubscription_NextMsg(&message, subscription, KV_TEST_LIMIT_MS), NATS_OK);
    assert_non_null(strstr(natsMsg_GetData(message), "\"value\":1,"));
    kv_test_await_log(&server, "bytes) is dropped: 127.0.0.1:");
    natsMsg_Destroy(message);
    natsSubscription_Destroy(subscription);
    natsConnection_Destroy(connection);
    kv_buffer_fini(&value);
    free(letters);
    kv_test_server_stop_cleanly(&server);
}

static void put_letters(const char *key, size_t len)
{
    char *letters = kv_test_letters('x', len);
    letters[0] = letters[len - 1] = '"';
    kv_test_store(server.port, key, letters);
    free(letters);
}

static void event_beyond_the_streams_limit_is_dropped_alone(void **state)
{
    (void)state;
    start_nats();
    make_stream_with_limit(1000);
    start_server(", jetstream: true");
    kv_test_write_numbers(server.port, 1, 2);
    put_letters("long", 2000);
    kv_test_write_numbers(server.port, 3, 2);
    await_stream(4);
    kv_test_await_log(&server, "of key \"long\"");
    kv_test_await_log(&server, "is dropped: it is longer than the stream takes");
    kv_test_server_stop_cleanly(&server);
}

/* Without a stream the server just complains, and goes on. */
static void subject_that_is_not_permitted_holds_the_events(void **state)
{
    (void)state;
    start_nats_with("authorization { users: [{user: a, password: b, "
                    "permissions: {publish: {deny: \"kv.>\"}}}] }\n");
    start_server(", user: a, password: b");
    kv_test_store(server.port, "k0", "1");
    kv_test_await_log(&server, "Permissions Violation for Publish to \"kv.set\"; 1 event waits");
    kv_test_server_kill(&server);
}

static void unavailable_peer_is_named(void **state)
{
    char text[128];
    (void)state;
    start_server("");
    kv_test_store(server.port, "a", "1");
    snprintf(text, sizeof(text), "not delivered: cannot connect to 127.0.0.1:%d: No server",
             nats.port);
    kv_test_await_log(&server, text);
    kv_test_server_kill(&server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_lost_or_duplicated_while_the_server_is_unavailable),
        TEST(missing_stream_is_logged),
        TEST(plain_subjects_have_the_type_and_an_id),
        TEST(event_beyond_the_servers_limit_is_dropped_alone),
        TEST(event_beyond_the_streams_limit_is_dropped_alone),
        TEST(subject_that_is_not_permitted_holds_the_events),
        TEST(unavailable_peer_is_named),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    nats_Close();
    return failed;
}
