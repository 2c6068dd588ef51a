/* --print-config: its output is usable unchanged, and reveals no secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

enum {
    KV_TEST_MISCONFIGURED = 2
};

static void printed_configuration_has_the_defaults_and_is_valid_itself(void **state)
{
    (void)state;
    struct kv_test_outcome printed, again;
    char *yaml = kv_test_with_modules("limits: {key: 64KiB}\nlisten: [{port: 3999}]\n");
    kv_test_program_run_with_file("--print-config", yaml, &printed);
    assert_int_equal(printed.exit_code, 0);
    static const char *const parts[] = {"key: 64KiB",      "value: 256MiB", "port: 3999",
                                        "host: 127.0.0.1", "idle: ",        "module: fixed",
                                        "module: memory",  "level: info"};
    for (size_t i = 0; i < N(parts); i++)
        kv_test_expect_part(printed.out, parts[i]);
    kv_test_program_run_with_file("--print-config", printed.out, &again);
    if (again.exit_code != 0)
        print_error("%s\n", again.err);
    assert_int_equal(again.exit_code, 0);
    assert_string_equal(again.out, printed.out);
    kv_test_outcome_fini(&printed);
    kv_test_outcome_fini(&again);
    free(yaml);
}

/* A folder with a file in it, printed from there. */
struct printing {
    struct kv_test_program program;
    char *path; /* of the file */
    struct kv_test_outcome printed;
};

static void print(struct printing *printing, const char *yaml)
{
    char *text = kv_test_with_modules(yaml);
    kv_test_program_prepare(&printing->program);
    printing->path = kv_test_program_write(&printing->program, "kvserver.yaml", text);
    kv_test_program_run((const char *[]){"-c", printing->path, "--print-config", NULL},
                        &printing->printed);
    if (printing->printed.exit_code != 0)
        fail_msg("%s", printing->printed.err);
    free(text);
}

static void end_printing(struct printing *printing)
{
    kv_test_outcome_fini(&printing->printed);
    kv_test_program_remove(&printing->program);
    free(printing->path);
}

static void expect_same_again(const struct printing *printing)
{
    struct kv_test_outcome again;
    kv_test_program_run_with_file("--print-config", printing->printed.out, &again);
    if (again.exit_code != 0)
        fail_msg("%s", again.err);
    assert_string_equal(again.out, printing->printed.out);
    kv_test_outcome_fini(&again);
}

/* Written into another folder, it means the same. */
static void printed_paths_do_not_depend_on_the_folder(void **state)
{
    (void)state;
    struct printing printing;
    char expected[128];
    print(&printing, "storage: {module: rocksdb, rocksdb: {path: ../store}}\n"
                     "sinks: [{module: file, options: {path: changes}}]\n"
                     "scripts: [{file: hook.lua, options: {a: \"$${b}\"}}]\n"
                     "timeouts: {idle: 1500ms, request_progress: 90s}\n");
    snprintf(expected, sizeof(expected), "      path: %s/changes", printing.program.folder);
    kv_test_expect_part(printing.printed.out, expected);
    snprintf(expected, sizeof(expected), "  - file: %s/hook.lua\n", printing.program.folder);
    kv_test_expect_part(printing.printed.out, expected);
    kv_test_expect_part(printing.printed.out, "    path: /tmp/store");
    kv_test_expect_part(printing.printed.out, "  idle: 1500ms\n");
    kv_test_expect_part(printing.printed.out, "  request_progress: 90s\n");
    kv_test_expect_part(printing.printed.out, "      a: \"$${b}\"\n");
    expect_same_again(&printing);
    end_printing(&printing);
}

/* The secrets of the file: one of its own, two from the environment. */
static const char with_secrets[] =
    "sinks:\n"
    "  - module: webhook\n"
    "    options:\n"
    "      url: http://127.0.0.1:1\n"
    "      secret: \"${KV_TEST_SECRET}\"\n"
    "      previous_secret: ${KV_TEST_NONE:-other}\n"
    "      headers: {Authorization: \"Bearer ${KV_TEST_SECRET}\", X-Key: literal}\n"
    "scripts:\n"
    "  - file: /dev/null\n"
    "    options: {token: \"${KV_TEST_SECRET}\"}\n";

static void printed_secrets_are_the_variables_that_they_came_from(void **state)
{
    (void)state;
    struct printing printing;
    if (!kv_test_has_module("sink/webhook"))
        kv_test_skip_for("the sink webhook was left out of the build");
    setenv("KV_TEST_SECRET", "hunter2", 1);
    print(&printing, with_secrets); /* into a file of our own */
    static const char *const parts[] = {"secret: \"${KV_TEST_SECRET}\"",
                                        "previous_secret: \"${KV_TEST_NONE:-other}\"",
                                        "Authorization: \"Bearer ${KV_TEST_SECRET}\"",
                                        "X-Key: literal\n", "token: \"${KV_TEST_SECRET}\"\n"};
    for (size_t i = 0; i < N(parts); i++)
        kv_test_expect_part(printing.printed.out, parts[i]);
    assert_null(strstr(printing.printed.out, "hunter2"));
    assert_string_equal(printing.printed.err, "");
    expect_same_again(&printing);
    end_printing(&printing);
}

/* Runs it in a shell, whose output goes there; `%s` is the folder. Returns: what it says besides.
 * Owns: the caller, by free(). */
static char *print_to(const struct printing *printing, const char *where)
{
    char command[1024];
    snprintf(command, sizeof(command), "cd %s && %s --print-config -c kvserver.yaml 2>err %s",
             printing->program.folder, KV_SERVER_PROGRAM, where);
    assert_int_equal(system(command), 0); /* NOLINT: a shell is what redirects */
    return kv_test_program_read(&printing->program, "err");
}

static void secrets_in_a_file_readable_by_others_cause_a_warning(void **state)
{
    (void)state;
    struct printing printing;
    if (!kv_test_has_module("sink/webhook"))
        kv_test_skip_for("the sink webhook was left out of the build");
    setenv("KV_TEST_SECRET", "hunter2", 1);
    print(&printing, with_secrets);
    char *err = print_to(&printing, ">open; chmod 600 open");
    free(err);
    err = print_to(&printing, ">open");
    assert_string_equal(err, "");
    free(err);
    err = print_to(&printing, ">open2; chmod 644 open2");
    free(err);
    err = print_to(&printing, ">open2");
    kv_test_expect_part(err, "others can read it: chmod 600 it");
    free(err);
    end_printing(&printing);
}

/* A pipe leads anywhere. */
static void secrets_of_the_file_are_printed_only_into_files(void **state)
{
    (void)state;
    struct printing printing;
    if (!kv_test_has_module("sink/webhook"))
        kv_test_skip_for("the sink webhook was left out of the build");
    setenv("KV_TEST_SECRET", "hunter2", 1);
    print(&printing, with_secrets);
    char *err = print_to(&printing, "| cat >piped");
    char *piped = kv_test_program_read(&printing.program, "piped");
    kv_test_expect_part(piped, "X-Key: \"<hidden>\"\n");
    kv_test_expect_part(piped, "secret: \"${KV_TEST_SECRET}\"");
    assert_null(strstr(piped, "literal"));
    kv_test_expect_part(err, "1 secret is hidden");
    struct kv_test_outcome again;
    kv_test_program_run_with_file("--check-config", piped, &again);
    assert_int_equal(again.exit_code, KV_TEST_MISCONFIGURED);
    kv_test_expect_part(again.err, "options.headers.X-Key: was hidden when this was printed");
    kv_test_outcome_fini(&again);
    free(piped);
    free(err);
    end_printing(&printing);
}

/* Text after a password, or without one, is useful to the reader. */
static void only_passwords_within_values_are_hidden(void **state)
{
    (void)state;
    static const struct {
        const char *module, *options, *shown, *literal;
    } cases[] = {
        {"webhook", "url: 'https://ann:pass@h/hook'", "url: \"https://<hidden>@h/hook\"",
         "ann:pass"},
        {"nats", "servers: ['nats://ann:pass@n:1', 'n:2']", "- \"nats://<hidden>@n:1\"",
         "ann:pass"},
        {"kafka", "settings: {sasl.username: ann, sasl.password: pass}", "sasl.username: ann",
         "password: pass"},
    };
    for (size_t i = 0; i < N(cases); i++) {
        struct printing printing;
        char module[64], yaml[256];
        snprintf(module, sizeof(module), "sink/%s", cases[i].module);
        if (!kv_test_has_module(module))
            continue;
        snprintf(yaml, sizeof(yaml), "sinks: [{module: %s, options: {%s}}]\n", cases[i].module,
                 cases[i].options);
        print(&printing, yaml);
        kv_test_expect_part(printing.printed.out, cases[i].literal); /* into a file of our own */
        expect_same_again(&printing);
        char *err = print_to(&printing, "| cat >piped");
        char *piped = kv_test_program_read(&printing.program, "piped");
        kv_test_expect_part(piped, cases[i].shown);
        kv_test_expect_part(err, "1 secret is hidden");
        assert_null(strstr(piped, cases[i].literal));
        free(piped);
        free(err);
        end_printing(&printing);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(printed_configuration_has_the_defaults_and_is_valid_itself),
        cmocka_unit_test(printed_paths_do_not_depend_on_the_folder),
        cmocka_unit_test(printed_secrets_are_the_variables_that_they_came_from),
        cmocka_unit_test(secrets_in_a_file_readable_by_others_cause_a_warning),
        cmocka_unit_test(secrets_of_the_file_are_printed_only_into_files),
        cmocka_unit_test(only_passwords_within_values_are_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
