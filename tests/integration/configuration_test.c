/* The command line and the YAML file: what is wrong is told with file, line and column. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

enum {
    KV_TEST_FAILED = 1,
    KV_TEST_MISCONFIGURED = 2
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* The file's own lines come first, so that lines and columns are those of `yaml`. */
static void check_config(const char *yaml, struct kv_test_outcome *ret)
{
    kv_test_program_run_with_file("--check-config", yaml, ret);
}

static void expect_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, text);
}

static void version_help_and_usage(void **state)
{
    (void)state;
    struct kv_test_outcome outcome;
    kv_test_program_run((const char *[]){"--version", NULL}, &outcome);
    assert_int_equal(outcome.exit_code, 0);
    expect_contains(outcome.out, "kvserver ");
    kv_test_outcome_fini(&outcome);

    kv_test_program_run((const char *[]){"--help", NULL}, &outcome);
    assert_int_equal(outcome.exit_code, 0);
    expect_contains(outcome.out, "--check-config");
    assert_string_equal(outcome.err, "");
    kv_test_outcome_fini(&outcome);
}

static void unknown_argument_fails_and_is_named(void **state)
{
    (void)state;
    static const char *const arguments[] = {"--sing", "-x", "stray"};
    for (size_t i = 0; i < N(arguments); i++) {
        struct kv_test_outcome outcome;
        kv_test_program_run((const char *[]){arguments[i], NULL}, &outcome);
        assert_int_equal(outcome.exit_code, KV_TEST_MISCONFIGURED);
        expect_contains(outcome.err, arguments[i]);
        assert_string_equal(outcome.out, "");
        kv_test_outcome_fini(&outcome);
    }
}

static void missing_file_fails_and_is_named(void **state)
{
    (void)state;
    struct kv_test_outcome outcome;
    kv_test_program_run((const char *[]){"-c", "/nonexistent/kvserver.yaml", NULL}, &outcome);
    assert_int_equal(outcome.exit_code, KV_TEST_MISCONFIGURED);
    expect_contains(outcome.err, "/nonexistent/kvserver.yaml");
    expect_contains(outcome.err, "No such file");
    kv_test_outcome_fini(&outcome);
}

/* Every default is left alone, but for the folder that the build has. */
static char *with_modules(const char *yaml)
{
    struct kv_buffer text = {0};
    kv_buffer_printf(&text, "%smodules: %s\n", yaml, getenv("KV_TEST_MODULES"));
    kv_buffer_append_char(&text, '\0');
    return text.bytes;
}

static void valid_files_pass(void **state)
{
    (void)state;
    static const char *const files[] = {
        "",
        "# a comment alone\n",
        "threads: auto\n",
        "listen:\n  - host: 127.0.0.1\n    port: 3000\n",
        "origins: ['https://a.example', \"http://b.example:81\"]\n",
        "limits: {key: 1MiB, value: 256MiB, connections: 17}\n",
        "timeouts: {idle: 1h 30m, drain: 500}\n",
        "log: {level: debug, format: json}\n",
        "ttl: [{module: fixed}]\n",
        "storage: {module: simple}\n",
        "threads: ${KV_TEST_NOT_SET:-3}\n",
    };
    for (size_t i = 0; i < N(files); i++) {
        struct kv_test_outcome outcome;
        char *yaml = with_modules(files[i]);
        check_config(yaml, &outcome);
        if (outcome.exit_code != 0)
            print_error("%s\n%s\n", yaml, outcome.err);
        assert_int_equal(outcome.exit_code, 0);
        kv_test_outcome_fini(&outcome);
        free(yaml);
    }
}

static void wrong_entry_fails_with_line_and_column(void **state)
{
    (void)state;
    /* place: behind the file's name; word: what the message must name. */
    static const struct {
        const char *yaml, *place, *word;
    } files[] = {
        {"threads: many\n", ".yaml:1:10: ", "threads"},
        {"threads: 0\n", ".yaml:1:10: ", "threads"},
        {"threads: 1.5\n", ".yaml:1:10: ", "threads"},
        {"threads: [1]\n", ".yaml:1:10: ", "threads"},
        {"# one\n\nlisten:\n  - port: 70000\n", ".yaml:4:11: ", "port"},
        {"listen: 3000\n", ".yaml:1:9: ", "listen"},
        {"listen:\n  - {host: 127.0.0.1, port: web}\n", ".yaml:2:29: ", "port"},
        {"limit: {key: 1MiB}\n", ".yaml:1:1: ", "limits"},
        {"limits: {keys: 1MiB}\n", ".yaml:1:10: ", "key"},
        {"limits: {key: 1Mib2}\n", ".yaml:1:15: ", "limits.key"},
        {"limits: {key: -1}\n", ".yaml:1:15: ", "limits.key"},
        {"limits:\n  depth: yes\n", ".yaml:2:10: ", "limits.depth"},
        {"timeouts:\n  idle: soon\n", ".yaml:2:9: ", "timeouts.idle"},
        {"timeouts: [1s]\n", ".yaml:1:11: ", "timeouts"},
        {"log: {level: loud}\n", ".yaml:1:14: ", "log.level"},
        {"origins: all\n", ".yaml:1:10: ", "origins"},
        {"origins: ['https://a.example/']\n", ".yaml:1:11: ", "origins[0]"},
        {"origins: ['*']\n", ".yaml:1:11: ", "origins[0]"},
        {"listen: [{host: ''}]\n", ".yaml:1:10: ", "host"},
        {"ttl: [{module: nosuch}]\n", ".yaml:1:16: ", "nosuch"},
        {"threads: 1\nthreads: 2\n", ".yaml:2:1: ", "threads"},
        {"threads: 1\n  listen: []\n", ".yaml:2:", ""},
        {"threads: \"1\n", ".yaml:", ""},
        {"threads: &a 1\n", ".yaml:1:", ""},
        {"- threads\n", ".yaml:1:1: ", ""},
        {"threads: ${KV_TEST_NOT_SET}\n", ".yaml:1:", "KV_TEST_NOT_SET"},
    };
    for (size_t i = 0; i < N(files); i++) {
        struct kv_test_outcome outcome;
        check_config(files[i].yaml, &outcome);
        if (outcome.exit_code == 0)
            print_error("this passed:\n%s\n", files[i].yaml);
        assert_int_equal(outcome.exit_code, KV_TEST_MISCONFIGURED);
        expect_contains(outcome.err, files[i].place);
        expect_contains(outcome.err, files[i].word);
        kv_test_outcome_fini(&outcome);
    }
}

static void unknown_store_fails_and_is_named(void **state)
{
    (void)state;
    struct kv_test_outcome outcome;
    char *yaml = with_modules("storage:\n  module: punched_cards\n");
    check_config(yaml, &outcome);
    assert_int_equal(outcome.exit_code, KV_TEST_MISCONFIGURED);
    expect_contains(outcome.err, ".yaml:2:11: ");
    expect_contains(outcome.err, "punched_cards");
    kv_test_outcome_fini(&outcome);
    free(yaml);
}

static void unknown_ttl_policy_fails_and_is_named(void **state)
{
    (void)state;
    struct kv_test_outcome outcome;
    char *yaml = with_modules("ttl: [{module: whim}]\n");
    check_config(yaml, &outcome);
    assert_int_equal(outcome.exit_code, KV_TEST_MISCONFIGURED);
    expect_contains(outcome.err, "whim");
    kv_test_outcome_fini(&outcome);
    free(yaml);
}

static void module_names_do_not_leave_their_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"../store/simple", "/etc/passwd", "''", "simple.so", "."};
    for (size_t i = 0; i < N(names); i++) {
        struct kv_test_outcome outcome;
        struct kv_buffer storage = {0};
        kv_buffer_printf(&storage, "storage: {module: %s}\n", names[i]);
        kv_buffer_append_char(&storage, '\0');
        char *yaml = with_modules(storage.bytes);
        check_config(yaml, &outcome);
        if (outcome.exit_code == 0)
            print_error("this passed:\n%s\n", yaml);
        assert_int_equal(outcome.exit_code, KV_TEST_MISCONFIGURED);
        kv_test_outcome_fini(&outcome);
        kv_buffer_fini(&storage);
        free(yaml);
    }
}

static void store_of_the_wrong_kind_is_refused(void **state)
{
    (void)state;
    struct kv_test_outcome outcome;
    char *yaml = with_modules("storage: {module: fixed}\n");
    check_config(yaml, &outcome);
    assert_int_equal(outcome.exit_code, KV_TEST_MISCONFIGURED);
    expect_contains(outcome.err, "fixed");
    kv_test_outcome_fini(&outcome);
    free(yaml);
}

static void unknown_option_of_a_module_fails_with_its_place(void **state)
{
    (void)state;
    struct kv_test_outcome outcome;
    char *yaml = with_modules("storage:\n  module: simple\n  simple:\n    colour: red\n");
    check_config(yaml, &outcome);
    assert_int_equal(outcome.exit_code, KV_TEST_MISCONFIGURED);
    expect_contains(outcome.err, ".yaml:4:5: ");
    expect_contains(outcome.err, "colour");
    kv_test_outcome_fini(&outcome);
    free(yaml);
}

static void printed_configuration_has_the_defaults_and_is_valid_itself(void **state)
{
    (void)state;
    struct kv_test_outcome printed, again;
    char *yaml = with_modules("limits: {key: 64KiB}\nlisten: [{port: 3999}]\n");
    kv_test_program_run_with_file("--print-config", yaml, &printed);
    assert_int_equal(printed.exit_code, 0);
    static const char *const parts[] = {"key: 64KiB",      "value: 256MiB", "port: 3999",
                                        "host: 127.0.0.1", "idle: ",        "module: fixed",
                                        "module: memory",  "level: info"};
    for (size_t i = 0; i < N(parts); i++)
        expect_contains(printed.out, parts[i]);
    kv_test_program_run_with_file("--print-config", printed.out, &again);
    if (again.exit_code != 0)
        print_error("%s\n", again.err);
    assert_int_equal(again.exit_code, 0);
    assert_string_equal(again.out, printed.out);
    kv_test_outcome_fini(&printed);
    kv_test_outcome_fini(&again);
    free(yaml);
}

/* ThreadSanitizer does not know the threads of librdkafka, which thrd_create() makes. */
#ifdef __SANITIZE_THREAD__
#define HAS_KAFKA false
#else
#define HAS_KAFKA true
#endif

/* From the top of the sources, where their scripts are. Where a library is not installed, its sink
 * is not there. */
static void configurations_that_come_along_are_valid(void **state)
{
    static const char *const paths[] = {"conf/kvserver.yaml", "conf/everything.yaml"};
    char *before = getcwd(NULL, 0);
    (void)state;
    assert_int_equal(chdir(KV_SOURCES), 0);
    for (size_t i = 0; i < N(paths) - !HAS_KAFKA; i++) {
        struct kv_test_outcome outcome;
        kv_test_program_run((const char *[]){"-c", paths[i], "--check-config", NULL}, &outcome);
        if (outcome.exit_code != 0 && strstr(outcome.err, "left out of the build") == NULL)
            fail_msg("%s", outcome.err);
        kv_test_outcome_fini(&outcome);
    }
    assert_int_equal(chdir(before), 0);
    free(before);
}

static void output_that_cannot_be_written_is_a_failure(void **state)
{
    static const char *const actions[] = {"--version", "--help", "--print-config"};
    (void)state;
    for (size_t i = 0; i < N(actions); i++) {
        char command[1024];
        char *yaml = with_modules("");
        struct kv_test_program program;
        kv_test_program_prepare(&program);
        char *path = kv_test_program_write(&program, "kvserver.yaml", yaml);
        snprintf(command, sizeof(command), "%s %s -c %s >/dev/full 2>%s/err", KV_SERVER_PROGRAM,
                 actions[i], path, program.folder);
        assert_int_not_equal(system(command), 0); /* NOLINT: a shell is what redirects */
        char *err = kv_test_program_read(&program, "err");
        expect_contains(err, "cannot write to the standard output");
        free(err);
        kv_test_program_remove(&program);
        free(path);
        free(yaml);
    }
}

/* Runs the server, which must end at once. */
static void expect_no_start(const char *listen, int exit_code, const char *word)
{
    struct kv_test_outcome outcome;
    struct kv_test_program program;
    char *yaml = with_modules(listen);
    kv_test_program_prepare(&program);
    char *path = kv_test_program_write(&program, "kvserver.yaml", yaml);
    kv_test_program_run((const char *[]){"-c", path, NULL}, &outcome);
    assert_int_equal(outcome.exit_code, exit_code);
    expect_contains(outcome.err, word);
    kv_test_outcome_fini(&outcome);
    kv_test_program_remove(&program);
    free(path);
    free(yaml);
}

static void address_that_is_none_keeps_the_server_from_starting(void **state)
{
    (void)state;
    expect_no_start("listen: [{host: 256.1.1.1, port: 3999}]\n", KV_TEST_FAILED, "256.1.1.1");
}

static void port_that_another_program_holds_keeps_the_server_from_starting(void **state)
{
    (void)state;
    char listen_yaml[64], port[16];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int holder = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(holder, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(holder, 1), 0);
    assert_int_equal(getsockname(holder, (struct sockaddr *)&address, &len), 0);
    snprintf(port, sizeof(port), "%u", ntohs(address.sin_port));
    snprintf(listen_yaml, sizeof(listen_yaml), "listen: [{port: %s}]\n", port);
    expect_no_start(listen_yaml, KV_TEST_FAILED, port);
    close(holder);
}

static void wrong_configuration_keeps_the_server_from_starting(void **state)
{
    (void)state;
    expect_no_start("threads: many\n", KV_TEST_MISCONFIGURED, ".yaml:1:10: ");
    expect_no_start("ttl: [{module: bounded, options: {default: 1s, minimum: 2s}}]\n",
                    KV_TEST_MISCONFIGURED, ".yaml:1:16: ");
    expect_no_start("scripts: [{file: /nonexistent/hook.lua}]\n", KV_TEST_MISCONFIGURED,
                    ".yaml:1:18: ");
}

static void server_listens_on_every_address_that_is_listed(void **state)
{
    (void)state;
    struct kv_test_server server;
    struct kv_buffer yaml = {0};
    kv_buffer_append(&yaml, KV_SLICE("listen:\n  - {port: %port}\n  - {host: 127.0.0.2, port: "
                                     "%port}\nthreads: 3\n"));
    kv_buffer_printf(&yaml, "modules: %s\n", getenv("KV_TEST_MODULES"));
    kv_buffer_append_char(&yaml, '\0');
    kv_test_server_start(&server, yaml.bytes);
    char *log = kv_test_server_log(&server);
    expect_contains(log, "127.0.0.1:");
    expect_contains(log, "127.0.0.2:");
    free(log);
    kv_test_server_stop_cleanly(&server);
    kv_buffer_fini(&yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_help_and_usage),
        cmocka_unit_test(unknown_argument_fails_and_is_named),
        cmocka_unit_test(missing_file_fails_and_is_named),
        cmocka_unit_test(valid_files_pass),
        cmocka_unit_test(wrong_entry_fails_with_line_and_column),
        cmocka_unit_test(wrong_configuration_keeps_the_server_from_starting),
        cmocka_unit_test(unknown_store_fails_and_is_named),
        cmocka_unit_test(unknown_ttl_policy_fails_and_is_named),
        cmocka_unit_test(module_names_do_not_leave_their_folder),
        cmocka_unit_test(store_of_the_wrong_kind_is_refused),
        cmocka_unit_test(unknown_option_of_a_module_fails_with_its_place),
        cmocka_unit_test(configurations_that_come_along_are_valid),
        cmocka_unit_test(output_that_cannot_be_written_is_a_failure),
        cmocka_unit_test(printed_configuration_has_the_defaults_and_is_valid_itself),
        cmocka_unit_test(address_that_is_none_keeps_the_server_from_starting),
        cmocka_unit_test(port_that_another_program_holds_keeps_the_server_from_starting),
        cmocka_unit_test(server_listens_on_every_address_that_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
