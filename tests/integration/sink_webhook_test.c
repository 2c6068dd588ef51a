/*
 * The sink `webhook` with a receiver that fails, stalls, requests a delay, moves and disappears.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "peer.h"
#include "receiver.h"
#include "support/client/folder.h"
#include "support/client/port.h"

static char *folder;
static struct kv_test_receiver receiver;
static struct kv_test_server server;

static int set_up(void **state)
{
    (void)state;
    folder = kv_test_folder_make();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kv_test_folder_remove(folder);
    free(folder);
    return 0;
}

/* `%s` in `options` stands for the folder. */
static void start_server(const char *options, const char *more)
{
    struct kv_buffer yaml = {0};
    kv_buffer_printf(&yaml,
                     "sinks:\n  - {module: webhook, retry: {first: 5ms, longest: 20ms}, options: "
                     "{url: 'http://127.0.0.1:%d/hook?a=b'%s}}\n%s",
                     receiver.port, options, more);
    kv_buffer_append_char(&yaml, '\0');
    kv_test_start_in(&server, folder, yaml.bytes);
    kv_buffer_fini(&yaml);
}

static void stop_server(void)
{
    kv_test_server_stop_cleanly(&server);
    kv_test_receiver_stop(&receiver);
}

static void stop_and_expect(const char *part)
{
    kv_test_server_terminate(&server);
    assert_int_equal(kv_test_program_wait(&server.program, KV_TEST_LIMIT_MS), 0);
    kv_test_await_log(&server, part);
    kv_test_program_remove(&server.program);
    kv_test_receiver_stop(&receiver);
}

static void get_header(size_t i, const char *name, char ret[256])
{
    struct kv_test_received one = kv_test_receiver_get(&receiver, i);
    kv_test_received_header(&one, name, ret, 256);
}

/* ---- requests ---- */

static void expect_signature(size_t i, const char *secret, const char *signature)
{
    struct kv_test_received one = kv_test_receiver_get(&receiver, i);
    struct kv_buffer text = {0};
    char id[256], time[256], expected[128] = "v1,";
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned len;
    get_header(i, "webhook-id", id);
    get_header(i, "webhook-timestamp", time);
    kv_buffer_printf(&text, "%s.%s.", id, time);
    kv_buffer_append(&text, one.body);
    HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)text.bytes, text.len,
         hash, &len);
    EVP_EncodeBlock((unsigned char *)expected + 3, hash, (int)len);
    kv_buffer_fini(&text);
    assert_true(strncmp(signature, expected, strlen(expected)) == 0);
}

static void request_is_one_event_with_standard_headers(void **state)
{
    (void)state;
    char text[256], id[256];
    kv_test_receiver_start(&receiver, 0, "o");
    start_server(
        ", secret: whsec_c2VjcmV0, previous_secret: old, headers: {Authorization: 'Bearer x'}", "");
    kv_test_store(server.port, "a", "{\"x\":1}");
    kv_test_receiver_await(&receiver, 1);
    struct kv_test_received one = kv_test_receiver_get(&receiver, 0);
    assert_true(strncmp(one.head, "POST /hook?a=b HTTP/1.1\r\n", 25) == 0);
    assert_non_null(memmem(one.body.bytes, one.body.len, "\"key\":\"a\",\"value\":{\"x\":1}", 24));
    get_header(0, "content-type", text);
    assert_string_equal(text, "application/json");
    get_header(0, "authorization", text);
    assert_string_equal(text, "Bearer x");
    get_header(0, "webhook-id", id);
    assert_non_null(memmem(one.body.bytes, one.body.len, id, strlen(id)));
    get_header(0, "webhook-timestamp", text);
    assert_true(labs(strtol(text, NULL, 10) - (long)time(NULL)) < 60);
    get_header(0, "webhook-signature", text);
    expect_signature(0, "secret", text);
    expect_signature(0, "old", strchr(text, ' ') + 1);
    stop_server();
}

static struct kv_test_seen see_all(char only)
{
    struct kv_test_seen seen = {0};
    size_t n = kv_test_receiver_await(&receiver, 1);
    for (size_t i = 0; i < n; i++) {
        struct kv_test_received one = kv_test_receiver_get(&receiver, i);
        if (only == 0 || one.answer == only)
            kv_test_seen_take(&seen, one.body);
    }
    return seen;
}

static void await_all(int n)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    for (struct kv_test_seen seen = {0}; !kv_test_seen_all(&seen, n); seen = see_all('o')) {
        assert_true(kv_test_now_ms() < until_ms);
        kv_test_sleep_ms(10);
    }
}

static void nothing_is_lost_whatever_the_receiver_does(void **state)
{
    (void)state;
    uint16_t port = kv_test_port_reserve();
    receiver.port = port;
    start_server(", timeout: 200ms, connect_timeout: 200ms", "");
    kv_test_write_numbers(server.port, 1, 5); /* it is not there yet */
    kv_test_receiver_start(&receiver, port, "fcofmsoofoofcsoffo");
    kv_test_write_numbers(server.port, 6, 20);
    await_all(25);
    assert_int_equal(see_all('o').n_repeated, 0); /* what was answered with 2xx comes once */
    assert_true(see_all(0).n_repeated > 5);
    kv_test_receiver_plan(&receiver, "ffso");
    kv_test_write_numbers(server.port, 26, 5);
    await_all(30);
    kv_test_server_stop_cleanly(&server);
    kv_test_receiver_stop(&receiver);
}

static void batch_is_repeated_as_it_was(void **state)
{
    (void)state;
    char id[256], again[256];
    kv_test_receiver_start(&receiver, 0, "s");
    start_server(", batch: 10, timeout: 300ms", "");
    kv_test_write_numbers(server.port, 1, 1);
    kv_test_receiver_await(&receiver, 1);
    kv_test_receiver_plan(&receiver, "so");
    kv_test_write_numbers(server.port, 2, 5); /* while the first request is under way */
    kv_test_receiver_await(&receiver, 5);
    struct kv_test_received first = kv_test_receiver_get(&receiver, 0);
    struct kv_test_received second = kv_test_receiver_get(&receiver, 1);
    struct kv_test_received third = kv_test_receiver_get(&receiver, 2);
    assert_int_equal(first.body.bytes[0], '[');
    get_header(0, "webhook-id", id);
    get_header(1, "webhook-id", again);
    assert_string_equal(id, again);
    assert_true(kv_slice_equals(first.body, second.body));
    assert_true(kv_slice_equals(second.body, third.body));
    get_header(3, "webhook-id", again);
    assert_string_not_equal(id, again);
    stop_server();
}

static void any_2xx_settles_regardless_of_its_body(void **state)
{
    (void)state;
    kv_test_receiver_start(&receiver, 0, "bhbho");
    start_server(", attempts: 1, timeout: 60s", "");
    for (int i = 1; i <= 5; i++) {
        char value[8];
        snprintf(value, sizeof(value), "%d", i);
        kv_test_store(server.port, "k0", value);
    }
    kv_test_receiver_await(&receiver, 5);
    struct kv_test_seen seen = see_all(0);
    assert_int_equal(seen.last[0], 5);
    assert_int_equal(seen.n_repeated, 0);
    stop_and_expect("delivered 5 events, retried 0 times, dropped 0 events");
}

static void retry_after_is_respected(void **state)
{
    (void)state;
    kv_test_receiver_start(&receiver, 0, "ro");
    start_server("", "");
    kv_test_store(server.port, "k0", "1");
    kv_test_receiver_await(&receiver, 2);
    assert_true(
        kv_test_receiver_get(&receiver, 1).at_ms - kv_test_receiver_get(&receiver, 0).at_ms >= 990);
    stop_server();
}

/* ---- giving up ---- */

static char *read_dead_letters(void)
{
    char *path = kv_test_path(folder, "dead");
    struct kv_buffer text = {0};
    if (access(path, F_OK) == 0)
        kv_test_file_read(path, &text);
    kv_buffer_append_char(&text, '\0');
    free(path);
    return text.bytes;
}

static void await_dead_letter(const char *part)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    for (bool is_there = false; !is_there; kv_test_sleep_ms(2)) {
        char *text = read_dead_letters();
        is_there = strstr(text, part) != NULL;
        free(text);
        assert_true(kv_test_now_ms() < until_ms);
    }
}

static void event_goes_to_the_dead_letters_after_its_attempts(void **state)
{
    (void)state;
    kv_test_receiver_start(&receiver, 0, "fffo");
    start_server(", attempts: 3, dead_letter: '%s/dead'", "");
    kv_test_store(server.port, "k0", "1");
    kv_test_store(server.port, "k0", "2");
    kv_test_receiver_await(&receiver, 4);
    await_dead_letter("\"key\":\"k0\",\"value\":1,");
    struct kv_test_received fourth = kv_test_receiver_get(&receiver, 3);
    assert_non_null(memmem(fourth.body.bytes, fourth.body.len, "\"value\":2,", 10));
    char *text = read_dead_letters();
    assert_null(strstr(text, "\"value\":2,"));
    free(text);
    kv_test_await_log(&server, "is given up after 3 attempts: 127.0.0.1:");
    kv_test_await_log(&server, "answered 500: sorry");
    stop_and_expect("delivered 1 event, retried 2 times, dropped 1 event");
}

/* The other events of the same request are accepted. */
static void event_refused_in_a_batch_is_given_up_alone(void **state)
{
    (void)state;
    kv_test_receiver_start(&receiver, 0, "s");
    start_server(", batch: 100, attempts: 3, timeout: 300ms, dead_letter: '%s/dead'", "");
    kv_test_write_numbers(server.port, 1, 1);
    kv_test_store(server.port, "k", "\"bad\"");
    kv_test_write_numbers(server.port, 2, 5);
    kv_test_receiver_plan(&receiver, "j");
    await_dead_letter("\"value\":\"bad\"");
    char *text = read_dead_letters();
    assert_null(strstr(text, "\"k0\""));
    free(text);
    stop_and_expect("delivered 30 events,");
}

static void too_large_event_is_given_up_at_once(void **state)
{
    char *letters = kv_test_letters('x', 2000);
    (void)state;
    letters[0] = letters[1999] = '"';
    kv_test_receiver_start(&receiver, 0, "l");
    start_server(", dead_letter: '%s/dead'", "");
    kv_test_store(server.port, "k0", "1");
    kv_test_store(server.port, "k0", letters);
    kv_test_store(server.port, "k0", "2");
    assert_int_equal(kv_test_receiver_await(&receiver, 3), 3);
    await_dead_letter("\"value\":\"xxx");
    stop_and_expect("delivered 2 events, retried 0 times, dropped 1 event");
    free(letters);
}

static void unavailable_receiver_is_named_without_secrets(void **state)
{
    char text[128];
    (void)state;
    receiver.port = kv_test_port_reserve();
    start_server("", "");
    kv_test_store(server.port, "k0", "1");
    snprintf(text, sizeof(text), "not delivered: 127.0.0.1:%d: ", receiver.port);
    kv_test_await_log(&server, text);
    kv_test_await_log(&server, "; 1 event waits");
    char *log = kv_test_server_log(&server);
    assert_null(strstr(log, "a=b"));
    free(log);
    kv_test_server_kill(&server);
}

static void events_are_not_dropped_if_dead_letters_cannot_be_written(void **state)
{
    (void)state;
    char *missing = kv_test_path(folder, "missing");
    assert_int_equal(mkdir(missing, 0700), 0);
    kv_test_receiver_start(&receiver, 0, "fffo");
    start_server(", attempts: 2, dead_letter: '%s/missing/dead'", "");
    assert_int_equal(rmdir(missing), 0);
    free(missing);
    kv_test_store(server.port, "k0", "1");
    kv_test_receiver_await(&receiver, 4);
    kv_test_await_log(&server, "dead_letter: cannot open ");
    stop_and_expect("delivered 1 event");
}

static void receiver_that_is_gone_gets_no_more(void **state)
{
    (void)state;
    kv_test_receiver_start(&receiver, 0, "go");
    start_server(", dead_letter: '%s/dead'", "");
    kv_test_store(server.port, "k0", "1");
    kv_test_await_log(&server, "answered 410");
    kv_test_store(server.port, "k0", "2");
    await_dead_letter("\"value\":2,");
    assert_int_equal(kv_test_receiver_await(&receiver, 1), 1);
    kill(server.program.pid, SIGHUP);
    kv_test_await_log(&server, "reloading");
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    for (int i = 3; kv_test_receiver_await(&receiver, 1) == 1; i++) {
        char value[16];
        snprintf(value, sizeof(value), "%d", i);
        kv_test_store(server.port, "k0", value); /* SIGHUP is taken up in its own time */
        kv_test_sleep_ms(20);
        assert_true(kv_test_now_ms() < until_ms);
    }
    stop_server();
}

static void stalled_receiver_costs_only_the_drain_time(void **state)
{
    (void)state;
    kv_test_receiver_start(&receiver, 0, "s");
    start_server(", timeout: 60s", "timeouts: {drain: 200ms}\n");
    kv_test_store(server.port, "k0", "1");
    kv_test_receiver_await(&receiver, 1);
    int64_t from_ms = kv_test_now_ms();
    stop_and_expect("dropped 1 event");
    assert_true(kv_test_now_ms() - from_ms < 10000);
}

static void faults_of_options_are_reported_at_once(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"url: 'ftp://x'", "begins with neither http:// nor https://"},
        {"url: 'http://x', secret: 'whsec_*'", "secret: base64 is expected after whsec_"},
        {"secret: x", "url"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct kv_test_outcome outcome;
        struct kv_buffer yaml = {0};
        kv_buffer_printf(&yaml, "modules: %s\nsinks:\n  - {module: webhook, options: {%s}}\n",
                         getenv("KV_TEST_MODULES"), bad[i][0]);
        kv_buffer_append_char(&yaml, '\0');
        kv_test_program_run_with_file("--check-config", yaml.bytes, &outcome);
        if (outcome.exit_code != 2 || strstr(outcome.err, bad[i][1]) == NULL)
            fail_msg("%d, \"%s\" is not in %s", outcome.exit_code, bad[i][1], outcome.err);
        kv_test_outcome_fini(&outcome);
        kv_buffer_fini(&yaml);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(request_is_one_event_with_standard_headers),
        TEST(nothing_is_lost_whatever_the_receiver_does),
        TEST(batch_is_repeated_as_it_was),
        TEST(any_2xx_settles_regardless_of_its_body),
        TEST(retry_after_is_respected),
        TEST(event_goes_to_the_dead_letters_after_its_attempts),
        TEST(event_refused_in_a_batch_is_given_up_alone),
        TEST(too_large_event_is_given_up_at_once),
        TEST(unavailable_receiver_is_named_without_secrets),
        TEST(events_are_not_dropped_if_dead_letters_cannot_be_written),
        TEST(receiver_that_is_gone_gets_no_more),
        TEST(stalled_receiver_costs_only_the_drain_time),
        TEST(faults_of_options_are_reported_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
