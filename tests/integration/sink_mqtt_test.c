/*
 * The sink `mqtt` with a real broker that is ended, stopped and started again.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <mosquitto.h>

#include "peer.h"
#include "support/client/folder.h"
#include "support/client/port.h"

/* A subscriber with a session that the broker keeps. */
struct subscriber {
    struct mosquitto *client;
    bool is_subscribed;
    struct kv_test_seen seen;
    char topic[128]; /* of the last one */
};

static char *folder;
static struct kv_test_peer broker;
static struct kv_test_server server;

static int set_up(void **state)
{
    (void)state;
    folder = kv_test_folder_make();
    broker = (struct kv_test_peer){.port = kv_test_port_reserve()};
    mosquitto_lib_init();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kv_test_peer_end(&broker, SIGKILL);
    kv_test_folder_remove(folder);
    free(folder);
    mosquitto_lib_cleanup();
    return 0;
}

/* With further configuration. */
static void start_broker_with(const char *more)
{
    struct kv_buffer text = {0};
    kv_buffer_printf(&text,
                     "listener %d 127.0.0.1\nallow_anonymous true\npersistence true\n"
                     "persistence_location %s/\nmax_queued_messages 0\nuser root\n%s",
                     broker.port, folder, more);
    kv_buffer_append_char(&text, '\0');
    kv_test_file_put(folder, "mosquitto.conf", text.bytes);
    kv_buffer_fini(&text);
    char *path = kv_test_path(folder, "mosquitto.conf");
    const char *const argv[] = {"mosquitto", "-c", path, NULL};
    kv_test_peer_start(&broker, folder, argv);
    free(path);
}

static void start_broker(void)
{
    start_broker_with("");
}

static void start_server(const char *more)
{
    struct kv_buffer yaml = {0};
    kv_buffer_printf(&yaml,
                     "sinks:\n  - {module: mqtt, retry: {first: 5ms, longest: 50ms}, options: "
                     "{port: %d, timeout: 500ms%s}}\n",
                     broker.port, more);
    kv_buffer_append_char(&yaml, '\0');
    kv_test_start(&server, yaml.bytes);
    kv_buffer_fini(&yaml);
}

static void connected(struct mosquitto *client, void *user, int refusal)
{
    (void)user;
    assert_int_equal(refusal, 0);
    assert_int_equal(mosquitto_subscribe(client, NULL, "kvserver/#", 1), MOSQ_ERR_SUCCESS);
}

static void subscribed(struct mosquitto *client, void *user, int mid, int n, const int *granted)
{
    struct subscriber *subscriber = user;
    (void)client;
    (void)mid;
    (void)n;
    (void)granted;
    subscriber->is_subscribed = true;
}

static void arrived(struct mosquitto *client, void *user, const struct mosquitto_message *message)
{
    struct subscriber *subscriber = user;
    (void)client;
    snprintf(subscriber->topic, sizeof(subscriber->topic), "%s", message->topic);
    kv_test_seen_take(&subscriber->seen,
                      (struct kv_slice){message->payload, (size_t)message->payloadlen});
}

static void turn(struct subscriber *subscriber)
{
    if (mosquitto_loop(subscriber->client, 50, 1) != MOSQ_ERR_SUCCESS) {
        mosquitto_reconnect(subscriber->client);
        kv_test_sleep_ms(20);
    }
}

/* Until the key `k<number>` has come. */
static void await_key(struct subscriber *subscriber, int number)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    while (subscriber->seen.last[number] == 0) {
        turn(subscriber);
        assert_true(kv_test_now_ms() < until_ms);
    }
}

static void subscribe(struct subscriber *subscriber)
{
    *subscriber = (struct subscriber){0};
    subscriber->client = mosquitto_new("subscriber", false, subscriber);
    mosquitto_connect_callback_set(subscriber->client, connected);
    mosquitto_subscribe_callback_set(subscriber->client, subscribed);
    mosquitto_message_callback_set(subscriber->client, arrived);
    assert_int_equal(mosquitto_connect(subscriber->client, "127.0.0.1", broker.port, 60),
                     MOSQ_ERR_SUCCESS);
    while (!subscriber->is_subscribed)
        turn(subscriber);
}

static void await_all(struct subscriber *subscriber, int n)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    while (!kv_test_seen_all(&subscriber->seen, n)) {
        turn(subscriber);
        if (kv_test_now_ms() > until_ms)
            fail_msg("k0 is at %d of %d", subscriber->seen.last[0], n);
    }
}

static void nothing_is_lost_while_the_broker_is_unavailable(void **state)
{
    (void)state;
    struct subscriber subscriber;
    start_broker();
    subscribe(&subscriber);
    kv_test_peer_end(&broker, SIGTERM);
    start_server("");
    kv_test_write_numbers(server.port, 1, 20); /* it is not there yet */
    start_broker();
    kv_test_write_numbers(server.port, 21, 20);
    await_all(&subscriber, 40);
    kv_test_peer_end(&broker, SIGTERM);
    kv_test_write_numbers(server.port, 41, 20);
    start_broker();
    kv_test_write_numbers(server.port, 61, 20);
    kv_test_peer_signal(&broker, SIGSTOP);
    kv_test_write_numbers(server.port, 81, 20);
    kv_test_sleep_ms(1000); /* longer than the sink waits for an answer */
    kv_test_peer_signal(&broker, SIGCONT);
    await_all(&subscriber, 100);
    mosquitto_destroy(subscriber.client);
    kv_test_server_stop_cleanly(&server);
}

static void topic_has_the_type_and_the_key(void **state)
{
    (void)state;
    struct subscriber subscriber;
    start_broker();
    subscribe(&subscriber);
    start_server(", topic: 'kvserver/{type}/{key}{', qos: 2");
    kv_test_store(server.port, "k0%2B%23/%00/%C3%A4", "1");
    await_key(&subscriber, 0);
    assert_string_equal(subscriber.topic, "kvserver/set/k0__/_/\xc3\xa4{");
    mosquitto_destroy(subscriber.client);
    kv_test_server_stop_cleanly(&server);
}

/* Control characters, and what Unicode does not count as characters. */
static void key_invalid_in_a_topic_is_delivered_under_another(void **state)
{
    static const struct {
        const char *path, *topic;
    } keys[] = {{"k0%01x", "kvserver/k0_x"},
                {"k1%7F%C2%80%C2%9Fx", "kvserver/k1___x"},
                {"k2%EF%BF%BF%EF%B7%90%F0%9F%BF%BEx", "kvserver/k2___x"},
                {"k3%EF%BF%BD%F0%9F%98%80", "kvserver/k3\xef\xbf\xbd\xf0\x9f\x98\x80"},
                {"k4", "kvserver/k4"}};
    (void)state;
    struct subscriber subscriber;
    start_broker();
    subscribe(&subscriber);
    start_server(", topic: 'kvserver/{key}'");
    for (int i = 0; i < KV_TEST_SEEN_KEYS; i++) {
        kv_test_store(server.port, keys[i].path, "1");
        await_key(&subscriber, i);
        assert_string_equal(subscriber.topic, keys[i].topic);
    }
    mosquitto_destroy(subscriber.client);
    kv_test_server_stop_cleanly(&server);
}

static void event_without_a_topic_is_dropped_alone(void **state)
{
    struct subscriber subscriber;
    struct kv_buffer key = {0};
    (void)state;
    start_broker();
    subscribe(&subscriber);
    start_server(", topic: 'kvserver/{key}'");
    for (int i = 0; i < 70000; i++)
        kv_buffer_append_char(&key, 'x');
    kv_buffer_append_char(&key, '\0');
    kv_test_write_numbers(server.port, 1, 1);
    kv_test_store(server.port, key.bytes, "1");
    kv_test_write_numbers(server.port, 2, 1);
    await_all(&subscriber, 2);
    kv_test_await_log(&server, "is dropped: its topic is empty, or longer than 65535 bytes");
    mosquitto_destroy(subscriber.client);
    kv_buffer_fini(&key);
    kv_test_server_stop_cleanly(&server);
}

/* A broker of MQTT 3.1.1 has no other way to refuse a message: too long, or too many levels. */
static void event_at_which_the_broker_ends_the_connection_is_dropped_alone(void **state)
{
    struct subscriber subscriber;
    struct kv_buffer levels = {0};
    char *letters = kv_test_letters('x', 50000);
    (void)state;
    letters[0] = letters[49999] = '"';
    start_broker_with("max_packet_size 20000\n");
    subscribe(&subscriber);
    start_server(", topic: 'kvserver/{key}'");
    for (int i = 0; i < 300; i++)
        kv_buffer_append(&levels, KV_SLICE("k/"));
    kv_buffer_append_char(&levels, '\0');
    kv_test_write_numbers(server.port, 1, 5);
    kv_test_store(server.port, "long", letters);
    kv_test_write_numbers(server.port, 6, 5);
    kv_test_store(server.port, levels.bytes, "1");
    kv_test_write_numbers(server.port, 11, 5);
    await_all(&subscriber, 15);
    kv_test_await_log(&server, "of key \"long\"");
    kv_test_await_log(&server, "of key \"k/k/k/");
    kv_test_await_log(&server, "is dropped: refused 10 times alone: 127.0.0.1:");
    mosquitto_destroy(subscriber.client);
    kv_buffer_fini(&levels);
    free(letters);
    kv_test_server_stop_cleanly(&server);
}

static void quality_of_service_0_is_delivered_when_sent(void **state)
{
    struct subscriber subscriber;
    (void)state;
    start_broker();
    subscribe(&subscriber);
    start_server(", qos: 0");
    kv_test_write_numbers(server.port, 1, 10);
    await_all(&subscriber, 10);
    assert_int_equal(subscriber.seen.n_repeated, 0);
    mosquitto_destroy(subscriber.client);
    kv_test_server_terminate(&server);
    assert_int_equal(kv_test_program_wait(&server.program, KV_TEST_LIMIT_MS), 0);
    kv_test_await_log(&server, "delivered 50 events, retried 0 times, dropped 0 events");
    kv_test_program_remove(&server.program);
}

static void run_openssl(const char *arguments)
{
    struct kv_buffer command = {0};
    kv_buffer_printf(&command, "cd '%s' && openssl %s 2>/dev/null", folder, arguments);
    kv_buffer_append_char(&command, '\0');
    assert_int_equal(system(command.bytes), 0);
    kv_buffer_fini(&command);
}

static void encrypted_key_is_refused_without_asking_for_a_passphrase(void **state)
{
    struct kv_buffer options = {0};
    (void)state;
    run_openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=kvserver "
                "-passout pass:secret -keyout our.key -out our.pem");
    start_broker();
    kv_buffer_printf(&options,
                     ", ca_file: %s/our.pem, certificate: %s/our.pem, private_key: %s/our.key",
                     folder, folder, folder);
    kv_buffer_append_char(&options, '\0');
    start_server(options.bytes);
    kv_test_store(server.port, "a", "1");
    kv_test_await_log(&server, "`private_key` is encrypted, and there is nobody to ask");
    kv_buffer_fini(&options);
    kv_test_server_kill(&server);
}

static void unavailable_peer_is_named(void **state)
{
    char text[128];
    (void)state;
    start_server("");
    kv_test_store(server.port, "a", "1");
    snprintf(text, sizeof(text),
             "cannot connect to 127.0.0.1:%d: Connection refused; 1 event waits", broker.port);
    kv_test_await_log(&server, text);
    kv_test_server_kill(&server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_lost_while_the_broker_is_unavailable),
        TEST(topic_has_the_type_and_the_key),
        TEST(key_invalid_in_a_topic_is_delivered_under_another),
        TEST(event_without_a_topic_is_dropped_alone),
        TEST(event_at_which_the_broker_ends_the_connection_is_dropped_alone),
        TEST(quality_of_service_0_is_delivered_when_sent),
        TEST(encrypted_key_is_refused_without_asking_for_a_passphrase),
        TEST(unavailable_peer_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
