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
    broker = (struct kv_test_peer){.port = kv_test_free_port()};
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

static void start_broker(void)
{
    struct kv_buffer text = {0};
    kv_buffer_printf(&text,
                     "listener %d 127.0.0.1\nallow_anonymous true\npersistence true\n"
                     "persistence_location %s/\nmax_queued_messages 0\nuser root\n",
                     broker.port, folder);
    kv_buffer_append_char(&text, '\0');
    kv_test_file_put(folder, "mosquitto.conf", text.bytes);
    kv_buffer_fini(&text);
    char *path = kv_test_path(folder, "mosquitto.conf");
    const char *const argv[] = {"mosquitto", "-c", path, NULL};
    kv_test_peer_start(&broker, folder, argv);
    free(path);
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

static void nothing_is_lost_while_the_broker_is_away(void **state)
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
    while (subscriber.seen.last[0] == 0)
        turn(&subscriber);
    assert_string_equal(subscriber.topic, "kvserver/set/k0__/_/\xc3\xa4{");
    mosquitto_destroy(subscriber.client);
    kv_test_server_stop_cleanly(&server);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_lost_while_the_broker_is_away),
        TEST(topic_has_the_type_and_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
