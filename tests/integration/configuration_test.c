/* The command line and the YAML file: faults are reported with file, line and column. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "faults.h"
#include "fixture.h"
#include "support/client/folder.h"

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

static void version_help_and_usage(void **state)
{
    (void)state;
    struct kv_test_outcome outcome;
    kv_test_program_run((const char *[]){"--version", NULL}, &outcome);
    assert_int_equal(outcome.exit_code, 0);
    kv_test_expect_part(outcome.out, "kvserver ");
    kv_test_outcome_fini(&outcome);

    kv_test_program_run((const char *[]){"--help", NULL}, &outcome);
    assert_int_equal(outcome.exit_code, 0);
    kv_test_expect_part(outcome.out, "--check-config");
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
        kv_test_expect_part(outcome.err, arguments[i]);
        kv_test_expect_part(outcome.err, "; see kvserver --help\n");
        assert_ptr_equal(strchr(outcome.err, '\n'), strrchr(outcome.err, '\n')); /* one line */
        assert_string_equal(outcome.out, "");
        kv_test_outcome_fini(&outcome);
    }
}

static void misspelt_arguments_are_reported_with_suggestions(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"--check-confg", "unknown option --check-confg (did you mean --check-config?)"},
        {"my.yaml", "unexpected argument my.yaml (did you mean -c my.yaml?)"},
        {"-c", "-c needs a value"},
        {"--config=", "-c needs the name of a file"},
    };
    for (size_t i = 0; i < N(cases); i++) {
        struct kv_test_outcome outcome;
        kv_test_program_run((const char *[]){cases[i][0], NULL}, &outcome);
        assert_int_equal(outcome.exit_code, KV_TEST_MISCONFIGURED);
        kv_test_expect_part(outcome.err, cases[i][1]);
        kv_test_outcome_fini(&outcome);
    }
}

static void missing_file_fails_and_is_named(void **state)
{
    (void)state;
    struct kv_test_outcome outcome;
    kv_test_program_run((const char *[]){"-c", "/nonexistent/kvserver.yaml", NULL}, &outcome);
    assert_int_equal(outcome.exit_code, KV_TEST_MISCONFIGURED);
    kv_test_expect_part(outcome.err, "/nonexistent/kvserver.yaml");
    kv_test_expect_part(outcome.err, "No such file");
    kv_test_outcome_fini(&outcome);
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
        "origins: ['*', 'https://*.example.org:81']\n",
        "hosts: ['*', kv.example, '*.lan.example', '[::1]']\n",
        "limits: {key: 1MiB, value: 256MiB, connections: 17}\n",
        "timeouts: {idle: 1h 30m, drain: 500ms}\n",
        "log: {level: debug, format: json}\n",
        "change_log: {size: 1GiB, age: 2h}\n",
        "change_log: {size: 0}\n",
        "change_log: {size: auto, age: auto}\n",
        "ttl: [{module: fixed}]\n",
        "storage: {module: simple}\n",
        "threads: ${KV_TEST_NOT_SET:-3}\n",
    };
    for (size_t i = 0; i < N(files); i++) {
        struct kv_test_outcome outcome;
        char *yaml = kv_test_with_modules(files[i]);
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
    /* place: after the file's name; word: a word that the message must contain. */
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
        {"origins: ['*.example']\n", ".yaml:1:11: ", "origins[0]"},
        {"hosts: all\n", ".yaml:1:8: ", "hosts"},
        {"hosts: [a b]\n", ".yaml:1:9: ", "hosts[0]"},
        {"listen: [{host: ''}]\n", ".yaml:1:17: ", "host"},
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
        kv_test_expect_part(outcome.err, files[i].place);
        kv_test_expect_part(outcome.err, files[i].word);
        kv_test_outcome_fini(&outcome);
    }
}

static void faults_suggest_a_correction(void **state)
{
    (void)state;
    static const char *const faults[][2] = {
        {"storage: {modul: memory}\n",
         "11: storage: unknown key \"modul\" (did you mean \"module\"?)"},
        {"storage: {simpel: {}}\n",
         "11: storage: unknown key \"simpel\" (did you mean \"simple\"?)"},
        {"storage: [memory]\n", "10: storage: a mapping like {module: memory} is expected"},
        {"storage: rocksdb\n", "10: storage: a mapping like {module: rocksdb} is expected"},
        {"storage: {module: memory, max_bytes: 1MiB}\n",
         "27: storage: unknown key \"max_bytes\" (it belongs in storage.memory)"},
        {"storage: {module: file}\n", "19: file is a sink, not a store"},
        {"storage: {module: }\n", "19: storage.module: the name of a store is expected"},
        {"listen: ~\n",
         "9: listen: at least one address is expected, as {host: 127.0.0.1, port: 3000}"},
        {"listen: [~]\n", "10: listen[0]: required, but not given"},
        {"ttl: [~]\n", "7: ttl[0]: required, but not given"},
        {"sinks: [~]\n", "9: sinks[0]: required, but not given"},
        {"scripts: [~]\n", "11: scripts[0]: required, but not given"},
        {"origins: ['null']\n",
         "11: origins[0]: \"null\" is not an origin: anybody's page can have "
         "it; if every page may write, list * instead"},
        {"origins: ['https://a.example:99999']\n",
         "11: origins[0]: \"https://a.example:99999\" is not an origin: it is like "
         "https://example.org or http://example.org:8080, with a port up to 65535"},
        {"listen: [{unix: s}, {unix: ./s}]\n",
         "28: listen[1].unix: %s/s is also written by listen[0].unix"},
        {"sinks: [{module: file, options: {path: x}}, {module: file, options: {path: ./x}}]\n",
         "76: sinks[1].options.path: %s/x is also written by sinks[0].options.path"},
        {"sinks: [{module: file, options: {path: x}, retry: {first: 1m}}]\n",
         "59: sinks[0].retry.first: first (60000 ms) is longer than longest (30000 ms)"},
        {"sinks: [{module: file, options: {path: x, prefixes: [a]}}]\n",
         "43: sinks[0].options: unknown key \"prefixes\" (it belongs beside `options:`, not in "
         "it)"},
        {"ttl: [fixed]\n", "7: ttl[0]: a mapping like {module: \"fixed\"} is expected, not text"},
        {"scripts: [x.lua]\n",
         "11: scripts[0]: a mapping like {file: \"x.lua\"} is expected, not text"},
        {"storage: {module: [memory]}\n", "19: storage.module: the name of a store is expected"},
        {"timeouts: {idle: 75}\n", "18: timeouts.idle: 75 has no unit; write 75ms, 75s or 75m"},
        {"ttl: [{module: sliding, options: {ttl: 60}}]\n",
         "40: ttl[0].options.ttl: 60 has no unit; write 60ms, 60s or 60m"},
        {"ttl: [{module: sliding}]\n", "16: ttl[0].options.ttl: required, but not given"},
        {"scripts: [{limits: {time: 5}, file: " KV_SOURCES "/scripts/hooks/audit.lua}]\n",
         "27: scripts[0].limits.time: 5 has no unit; write 5ms, 5s or 5m"},
        {"listen: [{port: ${X:-1}}]\n",
         "17: within {…} and […] a variable needs quotes: \"${X:-1}\""},
        {"\tlisten: []\n", "1: a tab indents this line; YAML takes spaces"},
        {"listen: []\n",
         "9: listen: at least one address is expected, as {host: 127.0.0.1, port: 3000}"},
        {"listen: [{host: 300.1.1.1}]\n",
         "17: listen[0].host: \"300.1.1.1\": this is no IPv4 address"},
        {"listen: [{host: 'fe80::g'}]\n",
         "17: listen[0].host: \"fe80::g\": this is no IPv6 address"},
        {"listen: [{host: 'localhost:80'}]\n",
         "17: listen[0].host: \"localhost:80\": the port is not part of it: write it as `port: …`"},
        {"listen: [{host: 'http://localhost'}]\n",
         "17: listen[0].host: \"http://localhost\": a name or an address is expected, without "
         "http:// and path"},
        {"listen: [{host: '*'}]\n",
         "17: listen[0].host: \"*\": \"*\" is no address: every one is 0.0.0.0, or :: with IPv6"},
        {"listen: [{port: 3001}, {port: 3001}]\n",
         "24: listen[1]: 127.0.0.1 port 3001 is listed already, as listen[0]"},
        {"listen: [{host: 192.0.2.1}]\n",
         "10: listen[0].host: \"192.0.2.1\" is not an address of this machine"},
        {"origins: ['https://example.org/']\n",
         "11: origins[0]: \"https://example.org/\" is not an origin: write https://example.org, "
         "without the slash"},
        {"origins: ['https://example.org/app']\n",
         "11: origins[0]: \"https://example.org/app\" is not an origin: write https://example.org, "
         "without what follows the host"},
        {"origins: ['https://example.org:443']\n",
         "11: origins[0]: \"https://example.org:443\" is not an origin: write https://example.org, "
         "without the port, which browsers leave out"},
        {"origins: [example.org]\n", "11: origins[0]: \"example.org\" is not an origin: write "
                                     "https://example.org, with the scheme"},
        {"origins: ['https://*example.org']\n",
         "11: origins[0]: \"https://*example.org\" is not an origin: * alone is every one, and "
         "https://*.example.org is every host below a domain"},
        {"origins: ['https://*']\n",
         "11: origins[0]: \"https://*\" is not an origin: * alone is every one, and "
         "https://*.example.org is every host below a domain"},
        {"port: 8080\n", "1: unknown key \"port\" (did you mean `listen: [{port: …}]`?)"},
        {"host: 0.0.0.0\n", "1: unknown key \"host\" (did you mean `listen: [{host: …}]`?)"},
        {"idle: 75s\n", "1: unknown key \"idle\" (did you mean `timeouts: {idle: …}`?)"},
        {"prefixes: [a]\n", "1: unknown key \"prefixes\""}, /* of a sink, or of a script */
        {"hosts: ['example.org:80']\n", "9: hosts[0]: \"example.org:80\" is not a host: write it "
                                        "without the port, as every port is "
                                        "served"},
        {"hosts: ['https://example.org']\n",
         "9: hosts[0]: \"https://example.org\" is not a host: it is like example.org, "
         "*.example.org, or * for all"},
        {"sinks: [{module: file, options: {path: none/changes}}]\n",
         "40: %s/none/changes (sinks[0].options.path, relative to %s): %s/none: No such file or "
         "directory"},
        {"sinks: [{module: file, options: {path: ~/changes}}]\n",
         "40: sinks[0].options.path: \"~/changes\" begins with ~, which means nothing here: write "
         "${HOME}"},
        {"scripts: [{file: ''}]\n", "18: scripts[0].file: \"\" is not a path"},
        {"scripts: [{file: .}]\n", "18: %s (scripts[0].file, relative to %s): Is a directory"},
        {"listen: 3000\n", "9: listen: a sequence (- item) is expected, not text"},
        {"storage: {module: rocksdb, rocksdb: {path: ''}}\n",
         "44: storage.rocksdb.path: \"\" is not a path"},
        {"scripts: [{file: hooks.lua}]\n",
         "18: %s/hooks.lua (scripts[0].file, relative to %s): No such file or directory"},
        {"storage: {module: rocksdb, rocksdb: {path: kvserver.yaml/data}}\n",
         "44: %s/kvserver.yaml/data (storage.rocksdb.path, relative to %s): "
         "%s/kvserver.yaml: Not a directory"},
    };
    for (size_t i = 0; i < N(faults); i++)
        kv_test_expect_faults(faults[i][0], &faults[i][1], 1);
}

static void misspelt_module_is_reported_with_the_available_ones(void **state)
{
    (void)state;
    char *said = kv_test_faults_of("storage: {module: simpel}\n");
    kv_test_expect_part(said,
                        ".yaml:1:19: no store module \"simpel\" (did you mean \"simple\"?) in ");
    kv_test_expect_part(said, "memory, redis, rocksdb, simple)\n");
    free(said);
}

static void all_faults_of_a_file_are_reported_in_order(void **state)
{
    (void)state;
    char *said =
        kv_test_faults_of("sinks: [{module: file, options: {path: none/x}}]\n"
                          "thread: 1\n"
                          "timeouts: {idle: 75, drain: \"${KV_TEST_NOT_SET}\"}\n"
                          "scripts: [{file: none.lua}]\n"
                          "origins: ['https://a.example/', \"${KV_TEST_NOT_SET}\", b]\n"
                          "listen: [{host: 256.1.1.1}, {host: '[::1]'}, {prot: 1}]\n"
                          "ttl: [{module: nosuch}, {module: sliding}]\n"
                          "storage: {module: simple, simple: {max_bytes: -1}, memory: {x: 1}}\n");
    static const char *const places[] = {
        "1:40: ", "2:1: ",  "3:18: ", "3:29: ", "4:18: ", "5:11: ", "5:33: ",
        "5:55: ", "6:17: ", "6:47: ", "7:16: ", "7:34: ", "8:47: ", "8:61: "};
    const char *at = said;
    for (size_t i = 0; i < N(places); i++) {
        char expected[64];
        snprintf(expected, sizeof(expected), "kvserver: %%s/kvserver.yaml:%s", places[i]);
        if (strncmp(at, expected, strlen(expected)) != 0)
            fail_msg("fault %zu is not of %sin: %s", i, places[i], said);
        at = strchr(at, '\n') + 1;
    }
    assert_string_equal(at, "");
    free(said);
}

static void unknown_store_fails_and_is_named(void **state)
{
    (void)state;
    struct kv_test_outcome outcome;
    char *yaml = kv_test_with_modules("storage:\n  module: punched_cards\n");
    check_config(yaml, &outcome);
    assert_int_equal(outcome.exit_code, KV_TEST_MISCONFIGURED);
    kv_test_expect_part(outcome.err, ".yaml:2:11: ");
    kv_test_expect_part(outcome.err, "punched_cards");
    kv_test_outcome_fini(&outcome);
    free(yaml);
}

static void missing_folder_of_modules_is_reported_once(void **state)
{
    (void)state;
    struct kv_test_outcome outcome;
    check_config("modules: /nonexistent\nstorage: {module: memory, memory: {}}\n"
                 "sinks: [{module: file, options: {path: x}}]\n",
                 &outcome);
    assert_int_equal(outcome.exit_code, KV_TEST_MISCONFIGURED);
    kv_test_expect_part(outcome.err,
                        "1:10: modules: the folder /nonexistent cannot be read: No such");
    assert_ptr_equal(strchr(outcome.err, '\n'), strrchr(outcome.err, '\n'));
    kv_test_outcome_fini(&outcome);
}

static void folder_without_modules_is_reported_with_the_right_one(void **state)
{
    struct kv_test_program program;
    struct kv_buffer fault = {0};
    (void)state;
    kv_test_program_prepare(&program);
    char *modules = kv_test_path(program.folder, "modules");
    assert_int_equal(symlink(getenv("KV_TEST_MODULES"), modules), 0);
    kv_buffer_printf(&fault, "1:10: modules: there are none in %s; did you mean %s?",
                     program.folder, modules);
    kv_buffer_append_char(&fault, '\0');
    for (int is_there = 1; is_there >= 0; is_there--) {
        struct kv_test_outcome outcome;
        char *path = kv_test_program_write(&program, "kvserver.yaml", "modules: .\n");
        kv_test_program_run((const char *[]){"--check-config", "-c", path, NULL}, &outcome);
        assert_int_equal(outcome.exit_code, KV_TEST_MISCONFIGURED);
        kv_test_expect_part(outcome.err,
                            is_there ? fault.bytes : ", whose folders would be store, ttl and ");
        assert_ptr_equal(strchr(outcome.err, '\n'), strrchr(outcome.err, '\n'));
        kv_test_outcome_fini(&outcome);
        free(path);
        unlink(modules);
    }
    kv_test_program_remove(&program);
    kv_buffer_fini(&fault);
    free(modules);
}

static void unknown_ttl_policy_fails_and_is_named(void **state)
{
    (void)state;
    struct kv_test_outcome outcome;
    char *yaml = kv_test_with_modules("ttl: [{module: whim}]\n");
    check_config(yaml, &outcome);
    assert_int_equal(outcome.exit_code, KV_TEST_MISCONFIGURED);
    kv_test_expect_part(outcome.err, "whim");
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
        char *yaml = kv_test_with_modules(storage.bytes);
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
    char *yaml = kv_test_with_modules("storage: {module: fixed}\n");
    check_config(yaml, &outcome);
    assert_int_equal(outcome.exit_code, KV_TEST_MISCONFIGURED);
    kv_test_expect_part(outcome.err, "fixed");
    kv_test_outcome_fini(&outcome);
    free(yaml);
}

static void unknown_option_of_a_module_fails_with_its_place(void **state)
{
    (void)state;
    struct kv_test_outcome outcome;
    char *yaml = kv_test_with_modules("storage:\n  module: simple\n  simple:\n    colour: red\n");
    check_config(yaml, &outcome);
    assert_int_equal(outcome.exit_code, KV_TEST_MISCONFIGURED);
    kv_test_expect_part(outcome.err, ".yaml:4:5: ");
    kv_test_expect_part(outcome.err, "colour");
    kv_test_outcome_fini(&outcome);
    free(yaml);
}

/* ThreadSanitizer does not know the threads of librdkafka, which thrd_create() makes. */
#ifdef __SANITIZE_THREAD__
#define HAS_KAFKA false
#else
#define HAS_KAFKA true
#endif

/* From any folder. If a library is not installed, its sink does not exist. */
static void supplied_configurations_are_valid(void **state)
{
    static const char *const paths[] = {KV_SOURCES "/conf/kvserver.yaml",
                                        KV_SOURCES "/conf/everything.yaml"};
    (void)state;
    setenv("KVSERVER_DATA", "/tmp/kvserver-data", 1); /* the sources may be read-only */
    for (size_t i = 0; i < N(paths) - !HAS_KAFKA; i++) {
        struct kv_test_outcome outcome;
        kv_test_program_run((const char *[]){"-c", paths[i], "--check-config", NULL}, &outcome);
        if (outcome.exit_code != 0 && strstr(outcome.err, "left out of the build") == NULL)
            fail_msg("%s", outcome.err);
        kv_test_outcome_fini(&outcome);
    }
    unsetenv("KVSERVER_DATA");
}

static void unwritable_output_is_a_failure(void **state)
{
    static const char *const actions[] = {"--version", "--help", "--print-config"};
    (void)state;
    for (size_t i = 0; i < N(actions); i++) {
        char command[1024];
        char *yaml = kv_test_with_modules("");
        struct kv_test_program program;
        kv_test_program_prepare(&program);
        char *path = kv_test_program_write(&program, "kvserver.yaml", yaml);
        snprintf(command, sizeof(command), "%s %s -c %s >/dev/full 2>%s/err", KV_SERVER_PROGRAM,
                 actions[i], path, program.folder);
        assert_int_not_equal(system(command), 0); /* NOLINT: a shell is what redirects */
        char *err = kv_test_program_read(&program, "err");
        kv_test_expect_part(err, "cannot write to the standard output");
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
    char *yaml = kv_test_with_modules(listen);
    kv_test_program_prepare(&program);
    char *path = kv_test_program_write(&program, "kvserver.yaml", yaml);
    kv_test_program_run((const char *[]){"-c", path, NULL}, &outcome);
    assert_int_equal(outcome.exit_code, exit_code);
    kv_test_expect_part(outcome.err, word);
    kv_test_outcome_fini(&outcome);
    kv_test_program_remove(&program);
    free(path);
    free(yaml);
}

static void invalid_address_prevents_the_start(void **state)
{
    (void)state;
    expect_no_start("listen: [{host: 256.1.1.1, port: 3999}]\n", KV_TEST_MISCONFIGURED,
                    "256.1.1.1");
}

static void port_in_use_prevents_the_start(void **state)
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
    expect_no_start(listen_yaml, KV_TEST_FAILED, "listen[0] in ");
    close(holder);
}

static void invalid_configuration_prevents_the_start(void **state)
{
    (void)state;
    expect_no_start("threads: many\n", KV_TEST_MISCONFIGURED, ".yaml:1:10: ");
    expect_no_start("ttl: [{module: bounded, options: {default: 1s, minimum: 2s}}]\n",
                    KV_TEST_MISCONFIGURED, ".yaml:1:44: ");
    expect_no_start("scripts: [{file: /nonexistent/hook.lua}]\n", KV_TEST_MISCONFIGURED,
                    ".yaml:1:18: ");
}

/* Waits until the program has logged it. */
static void await_part(const struct kv_test_program *program, const char *part)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    for (bool is_there = false; !is_there;) {
        char *log = kv_test_program_read(program, "err");
        is_there = strstr(log, part) != NULL;
        if (!is_there && kv_test_now_ms() > until_ms)
            fail_msg("\"%s\" is not in: %s", part, log);
        free(log);
        kv_test_sleep_ms(5);
    }
}

/* The store's folder is in use by another server. */
static void failed_store_is_reported_instead_of_the_addresses(void **state)
{
    (void)state;
    struct kv_test_outcome outcome;
    struct kv_test_program program;
    if (!kv_test_has_module("store/rocksdb"))
        kv_test_skip_for("the store rocksdb was left out of the build");
    char *yaml = kv_test_with_modules("listen: [{port: 0}]\nthreads: 1\n"
                                      "storage: {module: rocksdb, rocksdb: {path: store}}\n");
    kv_test_program_prepare(&program);
    char *path = kv_test_program_write(&program, "kvserver.yaml", yaml);
    kv_test_program_spawn(&program, (const char *[]){"-c", path, NULL});
    await_part(&program, "listening on ");
    kv_test_program_run((const char *[]){"-c", path, NULL}, &outcome);
    assert_int_equal(outcome.exit_code, KV_TEST_FAILED);
    char expected[128];
    snprintf(expected, sizeof(expected), "kvserver: %s/store: in use by another server",
             program.folder);
    kv_test_expect_part(outcome.err, expected);
    assert_null(strstr(outcome.err, "listening"));
    kv_test_outcome_fini(&outcome);
    kill(program.pid, SIGTERM);
    assert_int_equal(kv_test_program_wait(&program, KV_TEST_LIMIT_MS), 0);
    kv_test_program_remove(&program);
    free(path);
    free(yaml);
}

static void unusable_path_prevents_the_start(void **state)
{
    (void)state;
    expect_no_start("sinks: [{module: file, options: {path: none/x}}]\n", KV_TEST_MISCONFIGURED,
                    ".yaml:1:40: ");
}

static void bracketed_address_is_accepted(void **state)
{
    (void)state;
    char *said = kv_test_faults_of("listen: [{host: '[::1]', port: 0}]\n");
    if (strstr(said, "not an address of this machine") != NULL)
        kv_test_skip_for("this machine has no IPv6");
    assert_string_equal(said, "");
    free(said);
}

static void server_listens_on_every_listed_address(void **state)
{
    (void)state;
    struct kv_test_server server;
    struct kv_buffer yaml = {0};
    kv_buffer_append(&yaml, KV_SLICE("listen:\n  - {port: %port}\n  - {host: 127.0.0.2, port: "
                                     "%port}\nthreads: 3\n"));
    kv_buffer_printf(&yaml, "modules: %s\n", getenv("KV_TEST_MODULES"));
    kv_buffer_append_char(&yaml, '\0');
    kv_test_server_start(&server, yaml.bytes);
    kv_test_await_log(&server, "127.0.0.1:"); /* it may serve before it says so */
    kv_test_await_log(&server, "127.0.0.2:");
    kv_test_server_stop_cleanly(&server);
    kv_buffer_fini(&yaml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_help_and_usage),
        cmocka_unit_test(unknown_argument_fails_and_is_named),
        cmocka_unit_test(misspelt_arguments_are_reported_with_suggestions),
        cmocka_unit_test(missing_file_fails_and_is_named),
        cmocka_unit_test(valid_files_pass),
        cmocka_unit_test(wrong_entry_fails_with_line_and_column),
        cmocka_unit_test(faults_suggest_a_correction),
        cmocka_unit_test(misspelt_module_is_reported_with_the_available_ones),
        cmocka_unit_test(all_faults_of_a_file_are_reported_in_order),
        cmocka_unit_test(invalid_configuration_prevents_the_start),
        cmocka_unit_test(unknown_store_fails_and_is_named),
        cmocka_unit_test(missing_folder_of_modules_is_reported_once),
        cmocka_unit_test(folder_without_modules_is_reported_with_the_right_one),
        cmocka_unit_test(unknown_ttl_policy_fails_and_is_named),
        cmocka_unit_test(module_names_do_not_leave_their_folder),
        cmocka_unit_test(store_of_the_wrong_kind_is_refused),
        cmocka_unit_test(unknown_option_of_a_module_fails_with_its_place),
        cmocka_unit_test(supplied_configurations_are_valid),
        cmocka_unit_test(unwritable_output_is_a_failure),
        cmocka_unit_test(bracketed_address_is_accepted),
        cmocka_unit_test(failed_store_is_reported_instead_of_the_addresses),
        cmocka_unit_test(unusable_path_prevents_the_start),
        cmocka_unit_test(invalid_address_prevents_the_start),
        cmocka_unit_test(port_in_use_prevents_the_start),
        cmocka_unit_test(server_listens_on_every_listed_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
