/*
 * The sink `kafka` with the mock cluster of librdkafka, whose brokers go down and come back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "peer.h"

enum {
    BROKERS = 3,
    PARTITIONS = 4
};

static rd_kafka_t *owner; /* of the cluster */
static rd_kafka_mock_cluster_t *cluster;
static struct kv_test_server server;

static int set_up(void **state)
{
    (void)state;
    char why[256];
    owner = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof(why));
    cluster = rd_kafka_mock_cluster_new(owner, BROKERS);
    rd_kafka_mock_topic_create(cluster, "kvserver", PARTITIONS, BROKERS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(owner);
    return 0;
}

static void set_brokers(bool are_up)
{
    for (int i = 1; i <= BROKERS; i++)
        if (are_up)
            rd_kafka_mock_broker_set_up(cluster, i);
        else
            rd_kafka_mock_broker_set_down(cluster, i);
}

/* settings: further ones of librdkafka. */
static void start_server_with(const char *settings)
{
    struct kv_buffer yaml = {0};
    kv_buffer_printf(
        &yaml,
        "sinks:\n  - {module: kafka, retry: {first: 5ms, longest: 50ms}, options: "
        "{brokers: '%s', timeout: 1s, settings: {reconnect.backoff.max.ms: '100'%s}}}\n",
        rd_kafka_mock_cluster_bootstraps(cluster), settings);
    kv_buffer_append_char(&yaml, '\0');
    kv_test_start(&server, yaml.bytes);
    kv_buffer_fini(&yaml);
}

static void start_server(void)
{
    start_server_with("");
}

static rd_kafka_t *start_consumer(void)
{
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), NULL,
                      0);
    rd_kafka_conf_set(conf, "group.id", "test", NULL, 0);
    rd_kafka_conf_set(conf, "auto.offset.reset", "earliest", NULL, 0);
    rd_kafka_conf_set(conf, "reconnect.backoff.max.ms", "100", NULL, 0);
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    assert_non_null(consumer);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(PARTITIONS);
    for (int i = 0; i < PARTITIONS; i++)
        rd_kafka_topic_partition_list_add(topics, "kvserver", i)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(consumer, topics), 0);
    rd_kafka_topic_partition_list_destroy(topics);
    return consumer;
}

static void await_all(rd_kafka_t *consumer, struct kv_test_seen *seen, int n)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    while (!kv_test_seen_all(seen, n)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, 100);
        if (message != NULL && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            assert_int_equal(message->key_len, 2);
            kv_test_seen_take(seen, (struct kv_slice){message->payload, message->len});
        }
        if (message != NULL)
            rd_kafka_message_destroy(message);
        if (kv_test_now_ms() > until_ms)
            fail_msg("at %d %d %d %d %d of %d", seen->last[0], seen->last[1], seen->last[2],
                     seen->last[3], seen->last[4], n);
    }
}

static void nothing_is_lost_while_brokers_are_down(void **state)
{
    (void)state;
    struct kv_test_seen seen = {0};
    set_brokers(false);
    start_server();
    kv_test_write_numbers(server.port, 1, 20);
    set_brokers(true);
    kv_test_write_numbers(server.port, 21, 20);
    rd_kafka_t *consumer = start_consumer();
    await_all(consumer, &seen, 40);
    set_brokers(false);
    kv_test_write_numbers(server.port, 41, 20);
    kv_test_sleep_ms(1500); /* longer than the sink waits for an answer */
    set_brokers(true);
    kv_test_write_numbers(server.port, 61, 20);
    for (int i = 1; i <= BROKERS; i++)
        rd_kafka_mock_broker_set_rtt(cluster, i, 200);
    kv_test_write_numbers(server.port, 81, 20);
    await_all(consumer, &seen, 100);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    kv_test_server_stop_cleanly(&server);
}

static void stop_and_expect(const char *part)
{
    kv_test_server_terminate(&server);
    assert_int_equal(kv_test_program_wait(&server.program, KV_TEST_LIMIT_MS), 0);
    kv_test_await_log(&server, part);
    kv_test_program_remove(&server.program);
}

static void await_delivery(void)
{
    rd_kafka_t *consumer = start_consumer();
    rd_kafka_message_t *message = NULL;
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    for (bool is_last = false; !is_last; message = NULL) {
        message = rd_kafka_consumer_poll(consumer, 100);
        is_last = message != NULL && message->err == RD_KAFKA_RESP_ERR_NO_ERROR &&
                  memmem(message->payload, message->len, "\"last\"", 6) != NULL;
        if (message != NULL)
            rd_kafka_message_destroy(message);
        assert_true(kv_test_now_ms() < until_ms);
    }
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
}

/* A broker's limit is one for batches. */
static void batch_refused_for_its_length_is_sent_in_parts(void **state)
{
    (void)state;
    set_brokers(false);
    start_server();
    kv_test_write_numbers(server.port, 1, 10);
    kv_test_store(server.port, "k", "\"last\"");
    kv_test_await_log(&server, "not delivered"); /* they come together the next time */
    rd_kafka_mock_push_request_errors(cluster, 0 /* Produce */, 1,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    set_brokers(true);
    await_delivery();
    stop_and_expect("dropped 0 events");
}

static void event_refused_by_the_broker_is_dropped_alone(void **state)
{
    (void)state;
    start_server();
    rd_kafka_mock_push_request_errors(cluster, 0 /* Produce */, 1,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    kv_test_store(server.port, "long", "1");
    kv_test_await_log(&server, "is dropped: Broker: Message size too large");
    kv_test_store(server.port, "k", "\"last\"");
    await_delivery();
    stop_and_expect("delivered 1 event,");
}

static void event_refused_by_the_producer_is_dropped_alone(void **state)
{
    char *letters = kv_test_letters('x', 5000);
    (void)state;
    letters[0] = letters[4999] = '"';
    start_server_with(", message.max.bytes: '2000'");
    kv_test_write_numbers(server.port, 1, 2);
    kv_test_store(server.port, "long", letters);
    kv_test_store(server.port, "k", "\"last\"");
    await_delivery();
    kv_test_await_log(&server, "of key \"long\"");
    stop_and_expect("delivered 11 events");
    free(letters);
}

static void unavailable_broker_is_named(void **state)
{
    (void)state;
    set_brokers(false);
    start_server();
    kv_test_store(server.port, "k", "1");
    kv_test_await_log(&server, "not delivered: no acknowledgement in time from 127.0.0.1:");
    kv_test_await_log(&server, "Connection refused");
    kv_test_await_log(&server, "1 event waits");
    kv_test_server_kill(&server);
}

static void invalid_setting_is_reported_at_once(void **state)
{
    (void)state;
    struct kv_test_outcome outcome;
    struct kv_buffer yaml = {0};
    kv_buffer_printf(&yaml,
                     "modules: %s\nsinks:\n  - {module: kafka, options: {settings: {acke: all}}}\n",
                     getenv("KV_TEST_MODULES"));
    kv_buffer_append_char(&yaml, '\0');
    kv_test_program_run_with_file("--check-config", yaml.bytes, &outcome);
    assert_int_equal(outcome.exit_code, 2);
    assert_non_null(strstr(outcome.err, "sinks[0].options.settings.acke: No such configuration "
                                        "property"));
    kv_test_outcome_fini(&outcome);
    kv_buffer_fini(&yaml);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_lost_while_brokers_are_down),
        TEST(batch_refused_for_its_length_is_sent_in_parts),
        TEST(event_refused_by_the_broker_is_dropped_alone),
        TEST(event_refused_by_the_producer_is_dropped_alone),
        TEST(unavailable_broker_is_named),
        TEST(invalid_setting_is_reported_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
