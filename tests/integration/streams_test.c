/* Closed standard streams: nothing is written into a file in their place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/port.h"

static struct kv_test_server server;

/* Runs a script in the test's folder, where $K is the program with its configuration. Returns: the
 * exit code. */
static int run(const char *script)
{
    struct kv_buffer whole = {0};
    kv_buffer_printf(&whole, "cd %s; K='" KV_SERVER_PROGRAM " -c kvserver.yaml'; %s",
                     server.program.folder, script);
    kv_buffer_append_char(&whole, '\0');
    int status = system(whole.bytes); /* NOLINT: a fixed command */
    kv_buffer_fini(&whole);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int set_up(void **state)
{
    (void)state;
    kv_test_program_prepare(&server.program);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    run("test ! -e pid || kill -9 $(cat pid) 2>err");
    kv_test_program_remove(&server.program);
    return 0;
}

/* Writes the configuration, with a port of its own. */
static void configure(void)
{
    char *text = kv_test_yaml("");
    char *port = strstr(text, "%port");
    struct kv_buffer whole = {0};
    kv_buffer_append(&whole, (struct kv_slice){text, (size_t)(port - text)});
    kv_buffer_printf(&whole, "%u", server.port = kv_test_port_reserve());
    for (const char *at = port + strlen("%port"); *at != '\0'; at++)
        if (strncmp(at, "%folder", strlen("%folder")) == 0) {
            kv_buffer_append(&whole, kv_slice_of(server.program.folder));
            at += strlen("%folder") - 1;
        } else {
            kv_buffer_append_char(&whole, *at);
        }
    kv_buffer_append_char(&whole, '\0');
    free(kv_test_program_write(&server.program, "kvserver.yaml", whole.bytes));
    kv_buffer_fini(&whole);
    free(text);
}

static void expect_file(const char *name, const char *text)
{
    char *got = kv_test_program_read(&server.program, name);
    assert_string_equal(got, text);
    free(got);
}

static void put_line(const char *line)
{
    free(kv_test_program_write(&server.program, "lines", line));
    assert_int_equal(run("$K --import lines 2>err"), 0);
}

/* The content of the store, without the parts that differ from run to run. */
static void expect_exported(const char *front)
{
    assert_int_equal(run("$K --export >out 2>err"), 0);
    char *got = kv_test_program_read(&server.program, "out");
    if (strncmp(got, front, strlen(front)) != 0)
        fail_msg("expected %s, got %s", front, got);
    free(got);
}

#define LINE "{\"key\":\"a\",\"value\":1"

static void export_without_streams_fails_and_changes_nothing(void **state)
{
    (void)state;
    configure();
    put_line(LINE "}\n");
    assert_int_equal(run("$K --export <&- >&- 2>&-"), 1);
    assert_int_equal(run("$K --export >&- 2>err"), 1);
    expect_file("err", "kvserver: the standard output is closed\n");
    expect_exported(LINE);
}

static void export_of_nothing_fails_too_if_the_output_is_closed(void **state)
{
    (void)state;
    configure();
    put_line("");
    assert_int_equal(run("$K --export >&- 2>err"), 1);
}

static void import_without_streams_reads_only_its_file(void **state)
{
    (void)state;
    configure();
    put_line(LINE "}\n");
    assert_int_equal(run("$K --import - <&- >&- 2>&-"), 1);
    assert_int_equal(run("$K --import - <&- 2>err"), 1);
    expect_file("err", "kvserver: the standard input is closed\n");
    assert_int_equal(run("$K --import lines <&- >&- 2>&-"), 0);
    expect_exported(LINE);
}

static void printing_fails_if_the_output_is_closed(void **state)
{
    static const char *const actions[] = {"--print-config", "--check-config", "--help",
                                          "--version"};
    (void)state;
    configure();
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        setenv("ACTION", actions[i], 1);
        assert_int_equal(run("$K $ACTION >&- 2>err"), 1);
        expect_file("err", "kvserver: the standard output is closed\n");
        assert_int_equal(run("$K $ACTION <&- >&- 2>&-"), 1);
        assert_int_equal(run("$K $ACTION >out 2>&-"), 0);
    }
}

static void await_ready(void)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    struct kv_test_stream stream;
    while (!kv_test_stream_try_open(&stream, server.port)) {
        assert_true(kv_test_now_ms() < until_ms);
        kv_test_sleep_ms(5);
    }
    kv_test_stream_close(&stream);
    while (kv_test_http_status(server.port, "GET", "/readyz", NULL, NULL) != 200)
        assert_true(kv_test_now_ms() < until_ms);
}

static void server_without_streams_serves_and_keeps_its_store(void **state)
{
    (void)state;
    configure();
    assert_int_equal(run("$K <&- >&- 2>&- & echo $! >pid"), 0);
    await_ready();
    kv_test_store(server.port, "a", "1");
    run("kill $(cat pid); while kill -0 $(cat pid) 2>err; do sleep 0.02; done");
    expect_exported(LINE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(export_without_streams_fails_and_changes_nothing),
        TEST(export_of_nothing_fails_too_if_the_output_is_closed),
        TEST(import_without_streams_reads_only_its_file),
        TEST(printing_fails_if_the_output_is_closed),
        TEST(server_without_streams_serves_and_keeps_its_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
