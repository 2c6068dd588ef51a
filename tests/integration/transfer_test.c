/* --export and --import: data exported from one store is the same after an import into another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/folder.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* A store that data is carried from or to. */
struct kind {
    const char *module;
    const char *options; /* %s: the folder for its data */
    bool is_durable;
};

static const struct kind kinds[] = {
    {"rocksdb", "path: %s", true}, {"lmdb", "path: %s, map_size: 1GiB", true},
    {"memory", "", false},         {"simple", "", false},
    {"late", "", false},
};
#define ROCKSDB (&kinds[0])
#define MEMORY  (&kinds[2])

/* A test's folder, with files of lines and configurations. */
static struct kv_test_program place;

static int set_up(void **state)
{
    (void)state;
    kv_test_program_prepare(&place);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kv_test_program_kill(&place);
    kv_test_program_remove(&place);
    return 0;
}

/* Configurations. */

/* name: of the store's folder. Owns: the caller. */
static char *yaml_of(const struct kind *kind, const char *name, const char *more)
{
    struct kv_buffer yaml = {0};
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", place.folder, name);
    kv_buffer_printf(&yaml,
                     "listen: [{host: 127.0.0.1, port: %%port}]\nthreads: 2\nmodules: %s\n"
                     "storage:\n  module: %s\n  %s: {",
                     getenv("KV_TEST_MODULES"), kind->module, kind->module);
    kv_buffer_printf(&yaml, kind->options, path); /* NOLINT: the table's formats */
    kv_buffer_printf(&yaml, "}\n%s", more);
    kv_buffer_append_char(&yaml, '\0');
    return yaml.bytes;
}

/* Writes `<name>.yaml` for a program that does not listen. */
static void configure(const struct kind *kind, const char *name, const char *more)
{
    char file[64];
    char *yaml = yaml_of(kind, name, more);
    char *port = strstr(yaml, "%port");
    static const char fixed[] = {'3', '9', '9', '9', ' '};
    memcpy(port, fixed, sizeof(fixed));
    snprintf(file, sizeof(file), "%s.yaml", name);
    free(kv_test_program_write(&place, file, yaml));
    free(yaml);
}

/* Running. */

/* Runs a command of the shell in the test's folder; `kvserver` in it is the program, which is ended
 * where it does not end itself.
 * Returns: its exit code. */
static int shell(const char *command)
{
    struct kv_buffer line = {0};
    kv_buffer_printf(&line, "cd %s && kvserver() { timeout 120 %s \"$@\"; } && %s", place.folder,
                     KV_SERVER_PROGRAM, command);
    kv_buffer_append_char(&line, '\0');
    int status = system(line.bytes); /* NOLINT: a shell is what redirects */
    kv_buffer_fini(&line);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect_success(const char *command)
{
    int exit_code = shell(command);
    if (exit_code != 0) {
        char *err = kv_test_program_read(&place, "err");
        print_error("%s: exit code %d: %s\n", command, exit_code, err);
        free(err);
    }
    assert_int_equal(exit_code, 0);
}

static void expect_in_file(const char *name, const char *part)
{
    char *text = kv_test_program_read(&place, name);
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in %s: %.2000s", part, name, text);
    free(text);
}

static size_t count_lines(const char *name)
{
    size_t n = 0;
    char *text = kv_test_program_read(&place, name);
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        n++;
    free(text);
    return n;
}

/* Lines. */

struct lines {
    char *text;
    char **lines;
    size_t n;
};

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Cuts `,"<name>":<number>` off the end of a line that lacks its last brace. Returns: the number,
 * -1 if the line does not end so. */
static int64_t cut_member(char *line, const char *name)
{
    char *comma = strrchr(line, ',');
    char *end = NULL;
    size_t len = strlen(name);
    if (comma == NULL || strncmp(comma + 1, name, len) != 0)
        return -1;
    int64_t number = strtoll(comma + 1 + len, &end, 10);
    if (*end != '\0')
        return -1;
    *comma = '\0';
    return number;
}

/* The part that does not depend on the time: the line without revision, and `ttl` if it is within
 * the bounds. */
static void normalise(char *line)
{
    char *brace = strrchr(line, '}');
    assert_non_null(brace);
    *brace = '\0';
    assert_true(cut_member(line, "\"revision\":") > 0);
    int64_t ttl_ms = cut_member(line, "\"ttl\":");
    if (ttl_ms > 0 && ttl_ms <= 3600000 && ttl_ms > 3600000 - KV_TEST_LIMIT_MS)
        memcpy(line + strlen(line), "T", sizeof("T")); /* an hour, as far as can be told */
    else
        assert_int_equal(ttl_ms, -1);
}

static void read_lines(const char *name, struct lines *ret)
{
    *ret = (struct lines){.text = kv_test_program_read(&place, name)};
    ret->lines = calloc(count_lines(name) + 1, sizeof(char *));
    assert_non_null(ret->lines);
    for (char *at = strtok(ret->text, "\n"); at != NULL; at = strtok(NULL, "\n")) {
        normalise(at);
        ret->lines[ret->n++] = at;
    }
    qsort(ret->lines, ret->n, sizeof(char *), compare_lines);
}

static void lines_fini(struct lines *lines)
{
    free(lines->lines);
    free(lines->text);
}

static void expect_same_lines(const char *name, const char *other)
{
    struct lines a, b;
    read_lines(name, &a);
    read_lines(other, &b);
    assert_int_equal(a.n, b.n);
    for (size_t i = 0; i < a.n; i++)
        if (strcmp(a.lines[i], b.lines[i]) != 0)
            fail_msg("%s: %.500s\n%s: %.500s", name, a.lines[i], other, b.lines[i]);
    lines_fini(&a);
    lines_fini(&b);
}

/* Every kind of key and value, as an export writes them. path: where HTTP finds it. */
static const struct {
    const char *path, *key, *value;
} awkward[] = {
    {"", "", "null"},
    {"%00", "\\u0000", "\"nul\""},
    {"a%0Ab%0Dc%09d", "a\\nb\\rc\\td", "\"line ends\\r\\n\""},
    {"quote%22back%5Cslash/", "quote\\\"back\\\\slash/", "\"\\\"\\\\\\/\""},
    {"%D0%BA%D0%BB%D1%8E%D1%87%F0%9F%98%80", "\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87\xf0\x9f\x98\x80",
     "\"\\u00e9 and \xc3\xa9\""},
    {"%7F%1F", "\x7f\\u001f", "\"\\ud800\""},
    {"numbers", "numbers", "[1e400,-0,0.10,123456789012345678901234567890]"},
    {"members", "members", "{\"a\":1,\"a\":2, \"b\" :\t[ ] ,\"ttl\":1,\"revision\":0}"},
};

static void append_line(struct kv_buffer *out, const char *key, const char *value, const char *ttl)
{
    kv_buffer_append(out, KV_SLICE("{\"key\":\""));
    kv_buffer_append(out, kv_slice_of(key));
    kv_buffer_append(out, KV_SLICE("\",\"value\":"));
    kv_buffer_append(out, kv_slice_of(value));
    kv_buffer_append(out, kv_slice_of(ttl));
    kv_buffer_append(out, KV_SLICE(",\"revision\":1}\n"));
}

static char *string_of(size_t len)
{
    char *value = kv_test_letters('v', len);
    value[0] = value[len - 1] = '"';
    return value;
}

enum {
    LONG_KEY = 2 << 10,
    LONGER_KEY = 100 << 10,
    LARGE_VALUE = 5 << 20
};

/* Writes the file `lines`. */
static void write_awkward_lines(void)
{
    struct kv_buffer lines = {0};
    char *long_key = kv_test_letters('k', LONG_KEY);
    char *longer_key = kv_test_letters('k', LONGER_KEY);
    char *large_value = string_of(LARGE_VALUE);
    for (size_t i = 0; i < N(awkward); i++)
        append_line(&lines, awkward[i].key, awkward[i].value, "");
    append_line(&lines, long_key, "1", "");
    append_line(&lines, longer_key, "2", "");
    append_line(&lines, "large", large_value, "");
    append_line(&lines, "hour", "3", ",\"ttl\":3600000");
    kv_buffer_append_char(&lines, '\0');
    free(kv_test_program_write(&place, "lines", lines.bytes));
    kv_buffer_fini(&lines);
    free(long_key);
    free(longer_key);
    free(large_value);
}

static void expect_awkward_values(uint16_t port)
{
    char *long_key = kv_test_letters('k', LONG_KEY);
    char *longer_key = kv_test_letters('k', LONGER_KEY);
    char *large_value = string_of(LARGE_VALUE);
    for (size_t i = 0; i < N(awkward); i++)
        kv_test_expect_value(port, awkward[i].path, awkward[i].value);
    kv_test_expect_value(port, long_key, "1");
    kv_test_expect_value(port, longer_key, "2");
    kv_test_expect_value(port, "large", large_value);
    free(long_key);
    free(longer_key);
    free(large_value);
}

static void expect_an_hour_left(uint16_t port)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, port);
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/storage/hour", NULL, NULL, &response), 200);
    const char *left = kv_test_response_header(&response, "kv-ttl");
    assert_non_null(left);
    assert_in_range(strtoll(left, NULL, 10), 3600000 - KV_TEST_LIMIT_MS, 3600000);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

/* Round trips. */

struct pair {
    const struct kind *from, *to;
};

static void serve_and_look(const struct kind *kind)
{
    struct kv_test_server server;
    char file[128];
    char *yaml = yaml_of(kind, "to", "");
    snprintf(file, sizeof(file), "%s/carried", place.folder);
    kv_test_server_start_importing(&server, yaml, file);
    kv_test_server_await_ready(&server);
    expect_awkward_values(server.port);
    expect_an_hour_left(server.port);
    kv_test_server_stop_cleanly(&server);
    free(yaml);
}

static void imported_data_equals_the_exported_data(void **state)
{
    const struct pair *pair = *state;
    kv_test_program_prepare(&place);
    configure(pair->from, "from", "");
    configure(pair->to, "to", "");
    write_awkward_lines();
    expect_success("kvserver -c from.yaml --import lines 2>err");
    expect_success("kvserver -c from.yaml --export >carried 2>err");
    expect_same_lines("carried", "lines");
    if (pair->to->is_durable) {
        expect_success("kvserver -c to.yaml --import carried 2>err");
        expect_success("kvserver -c to.yaml --export >again 2>err");
        expect_same_lines("again", "lines");
    } else {
        serve_and_look(pair->to);
    }
    kv_test_program_remove(&place);
}

/* Export. */

static void volatile_store_has_nothing_to_export(void **state)
{
    (void)state;
    configure(MEMORY, "from", "");
    assert_int_not_equal(shell("kvserver -c from.yaml --export >out 2>err"), 0);
    expect_in_file("err", "store/memory is volatile");
    assert_int_equal(count_lines("out"), 0);
}

static void store_in_use_is_refused_for_export_and_import(void **state)
{
    (void)state;
    struct kv_test_server server;
    char *yaml = yaml_of(ROCKSDB, "from", "");
    kv_test_server_start(&server, yaml);
    configure(ROCKSDB, "from", "");
    free(kv_test_program_write(&place, "lines", "{\"key\":\"k\",\"value\":1}\n"));
    assert_int_not_equal(shell("kvserver -c from.yaml --export 2>err"), 0);
    expect_in_file("err", "in use");
    assert_int_not_equal(shell("kvserver -c from.yaml --import lines 2>err"), 0);
    expect_in_file("err", "in use");
    kv_test_server_stop_cleanly(&server);
    free(yaml);
}

static void line_ends_within_a_value_become_spaces(void **state)
{
    (void)state;
    struct kv_test_server server;
    char *yaml = yaml_of(ROCKSDB, "from", "");
    kv_test_server_start(&server, yaml);
    kv_test_store(server.port, "k", "{\"a\":\n1,\r\n\"b\":\"x\\ny\"}");
    kv_test_server_stop_cleanly(&server);
    configure(ROCKSDB, "from", "");
    expect_success("kvserver -c from.yaml --export >out 2>err");
    expect_in_file("out", "{\"key\":\"k\",\"value\":{\"a\": 1,  \"b\":\"x\\ny\"},\"revision\":");
    assert_int_equal(count_lines("out"), 1);
    free(yaml);
}

/* Whether there is something of that name. */
static bool is_there(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", place.folder, name);
    return access(path, F_OK) == 0;
}

static void export_of_a_missing_store_creates_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; kinds[i].is_durable; i++) {
        configure(&kinds[i], "mistyped", "");
        assert_int_equal(shell("kvserver -c mistyped.yaml --export >out 2>err"), 1);
        expect_in_file("err", "there is no store at ");
        expect_in_file("err", "/mistyped");
        assert_int_equal(count_lines("out"), 0);
        assert_false(is_there("mistyped"));
        assert_int_equal(shell("mkdir mistyped && echo text >mistyped/letter"), 0);
        assert_int_equal(shell("kvserver -c mistyped.yaml --export >out 2>err"), 1);
        expect_in_file("err", "there is no store at ");
        assert_int_equal(shell("test \"$(ls -A mistyped)\" = letter && rm -r mistyped"), 0);
    }
}

/* The data left by a crash is in the journal. */
static void store_of_a_killed_server_is_exported_completely(void **state)
{
    (void)state;
    for (size_t i = 0; kinds[i].is_durable; i++) {
        struct kv_test_server server;
        char *yaml = yaml_of(&kinds[i], "from", "");
        configure(&kinds[i], "from", "");
        kv_test_server_start(&server, yaml);
        kv_test_store(server.port, "key", "[1, 2]");
        kv_test_server_kill(&server);
        for (int times = 0; times < 2; times++) {
            expect_success("kvserver -c from.yaml --export >out 2>err");
            expect_in_file("out", "{\"key\":\"key\",\"value\":[1, 2]");
        }
        assert_int_equal(shell("rm -r from"), 0);
        free(yaml);
    }
}

static void expired_key_is_not_exported(void **state)
{
    (void)state;
    configure(ROCKSDB, "from", "");
    free(kv_test_program_write(&place, "lines",
                               "{\"key\":\"gone\",\"value\":1,\"ttl\":1}\n"
                               "{\"key\":\"there\",\"value\":1}\n"));
    expect_success("kvserver -c from.yaml --import lines 2>err");
    expect_success("kvserver -c from.yaml --export >out 2>err");
    assert_int_equal(count_lines("out"), 1);
    expect_in_file("out", "\"there\"");
    expect_in_file("err", "exported 1 key in ");
}

/* Writes the file `lines`: so many short ones. */
static void write_many_lines(size_t n)
{
    struct kv_buffer lines = {0};
    for (size_t i = 0; i < n; i++)
        kv_buffer_printf(&lines, "{\"key\":\"key-%06zu\",\"value\":{\"number\":%zu}}\n", i, i);
    kv_buffer_append_char(&lines, '\0');
    free(kv_test_program_write(&place, "lines", lines.bytes));
    kv_buffer_fini(&lines);
}

/* Starts an export into that descriptor; its exit code goes to the file `code`. */
static void export_into(int fd)
{
    char command[128];
    assert_true(fd <= 9); /* a shell takes no larger one */
    snprintf(command, sizeof(command),
             "{ kvserver -c from.yaml --export >&%d 2>err; echo $? >code; } &", fd);
    assert_int_equal(shell(command), 0);
}

static void await_full_pipe(int fd, int capacity)
{
    int64_t limit_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    for (int n = 0; n != capacity;) {
        assert_int_equal(ioctl(fd, FIONREAD, &n), 0);
        assert_true(kv_test_now_ms() < limit_ms);
    }
}

/* Copies it to the file `piped` until everybody has closed the other end. */
static void drain_pipe(int fd)
{
    char bytes[65536];
    char *path = kv_test_path(place.folder, "piped");
    FILE *file = fopen(path, "we");
    ssize_t n;
    assert_non_null(file);
    while ((n = read(fd, bytes, sizeof(bytes))) > 0)
        assert_int_equal(fwrite(bytes, 1, (size_t)n, file), n);
    assert_int_equal(n, 0);
    assert_int_equal(fclose(file), 0);
    free(path);
}

/* As it is where another program has made it so, which holds the other end of a terminal or ssh. */
static void full_nonblocking_pipe_is_awaited(void **state)
{
    (void)state;
    int ends[2];
    configure(ROCKSDB, "from", "");
    write_many_lines(20000);
    expect_success("kvserver -c from.yaml --import lines 2>err");
    expect_success("kvserver -c from.yaml --export >out 2>err");
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFD, FD_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    int capacity = fcntl(ends[1], F_SETPIPE_SZ, 4096);
    assert_true(capacity > 0);
    export_into(ends[1]);
    close(ends[1]);
    await_full_pipe(ends[0], capacity);
    drain_pipe(ends[0]);
    close(ends[0]);
    expect_in_file("code", "0");
    expect_success("cmp out piped");
}

static void unwritable_output_is_an_error(void **state)
{
    (void)state;
    configure(ROCKSDB, "from", "");
    write_many_lines(20000);
    expect_success("kvserver -c from.yaml --import lines 2>err");
    assert_int_not_equal(shell("kvserver -c from.yaml --export >/dev/full 2>err"), 0);
    expect_in_file("err", "cannot write to the standard output: No space left");
    assert_int_not_equal(shell("grep exported err"), 0); /* there is no total of what failed */
    shell("{ kvserver -c from.yaml --export 2>err; echo $? >code; } | head -c 1 >out");
    expect_in_file("err", "cannot write to the standard output: Broken pipe");
    expect_in_file("code", "1");
}

/* Import. */

static void many_keys_go_through_a_pipe_quickly(void **state)
{
    (void)state;
    enum {
        MANY = 100000 / KV_TEST_SHARE
    };
    char imported[64];
    snprintf(imported, sizeof(imported), "imported %d keys in ", MANY);
    configure(ROCKSDB, "from", "");
    configure(&kinds[1], "to", "");
    write_many_lines(MANY);
    int64_t began_ms = kv_test_now_ms();
    expect_success("kvserver -c from.yaml --import - <lines 2>err");
    expect_in_file("err", imported);
    expect_success("kvserver -c from.yaml --export 2>err | kvserver -c to.yaml --import - 2>err2");
    expect_success("kvserver -c to.yaml --export >out 2>err");
    /* Far from what a sync for each key takes, under a sanitizer on a busy machine even. */
    assert_true(kv_test_now_ms() - began_ms < 4 * KV_TEST_LIMIT_MS);
    assert_int_equal(count_lines("out"), MANY);
    expect_success("sed 's/,\"revision\":[0-9]*}/}/' out | sort | cmp - lines");
}

static void last_line_of_a_key_wins(void **state)
{
    (void)state;
    struct kv_buffer lines = {0};
    configure(ROCKSDB, "from", "");
    for (int i = 0; i < 5000; i++)
        kv_buffer_printf(&lines, "{\"key\":\"%d\",\"value\":%d}\n", i % 3, i);
    kv_buffer_append_char(&lines, '\0');
    free(kv_test_program_write(&place, "lines", lines.bytes));
    expect_success("kvserver -c from.yaml --import lines 2>err");
    expect_success("kvserver -c from.yaml --export >out 2>err");
    assert_int_equal(count_lines("out"), 3);
    expect_in_file("out", "{\"key\":\"0\",\"value\":4998,");
    expect_in_file("out", "{\"key\":\"1\",\"value\":4999,");
    expect_in_file("out", "{\"key\":\"2\",\"value\":4997,");
    kv_buffer_fini(&lines);
}

static void blank_lines_and_a_missing_line_end_are_accepted(void **state)
{
    (void)state;
    configure(ROCKSDB, "from", "");
    free(kv_test_program_write(
        &place, "lines", "\n  \n{\"key\":\"a\",\"value\":1}\r\n\n{\"key\":\"b\",\"value\":2}"));
    expect_success("kvserver -c from.yaml --import lines 2>err");
    expect_in_file("err", "imported 2 keys in ");
}

static void empty_file_is_an_import_of_nothing(void **state)
{
    (void)state;
    configure(ROCKSDB, "from", "");
    free(kv_test_program_write(&place, "lines", ""));
    expect_success("kvserver -c from.yaml --import lines 2>err");
    expect_in_file("err", "imported 0 keys in ");
}

static void failed_export_is_not_imported(void **state)
{
    (void)state;
    configure(ROCKSDB, "mistyped", "");
    configure(ROCKSDB, "to", "");
    assert_int_equal(shell("kvserver -c mistyped.yaml --export 2>err | "
                           "kvserver -c to.yaml --import - 2>import-err"),
                     1);
    expect_in_file("err", "there is no store at ");
    expect_in_file("import-err", "the standard input is empty");
    assert_false(is_there("to"));
}

static void piped_backup_is_refused_before_a_store_is_made(void **state)
{
    (void)state;
    configure(ROCKSDB, "to", "");
    assert_int_equal(shell("printf '%s\\n' '{\"key\":\"a\",\"value\":1,\"revision\":1}' '' "
                           "'{\"key\":\"b\",\"deleted\":true,\"revision\":2}' >lines; "
                           "cat lines | kvserver -c to.yaml --import - 2>err"),
                     1);
    expect_in_file("err", "standard input:3: this is a backup, which is restored, not imported");
    expect_in_file("err", "nothing was imported");
    assert_int_equal(shell("grep -q 'keys in' err"), 1);
    assert_false(is_there("to"));
}

static void malformed_line_is_reported_with_its_number_and_ends_the_import(void **state)
{
    (void)state;
    static const struct {
        const char *line, *message;
    } bad[] = {
        {"{\"key\":\"k\",\"value\":01}", "lines:4: bad JSON at byte 20: "},
        {"{\"key\":\"k\",\"value\":1", "lines:4: bad JSON at byte 20: "},
        {"{\"key\":\"k\",\"value\":\"\xff\"}", "lines:4: bad JSON at byte 20: "},
        {"\xef\xbb\xbf{\"key\":\"k\",\"value\":1}", "lines:4: bad JSON at byte 0: "},
        {"17", "lines:4: the line is not an object"},
        {"{\"value\":1}", "lines:4: \"key\" is missing"},
        {"{\"key\":\"k\"}", "lines:4: \"value\" is missing"},
        {"{\"key\":\"k\",\"value\":1,\"ttl\":\"soon\"}",
         "lines:4: ttl: \"soon\" is not a duration"},
        {"{\"key\":\"12345678901\",\"value\":1}", "lines:4: the key has 11 bytes, the limit is 10"},
        {"{\"key\":\"k\",\"value\":1234567890123456789012}",
         "lines:4: the value has 22 bytes, the limit is 20"},
        {"{\"key\":\"k\",\"value\":[[[[1]]]]}", "lines:4: bad JSON at byte 22: the nesting is too"},
    };
    configure(ROCKSDB, "from", "limits: {key: 10, value: 20, depth: 3}\n");
    for (size_t i = 0; i < N(bad); i++) {
        struct kv_buffer lines = {0};
        kv_buffer_printf(&lines,
                         "{\"key\":\"a\",\"value\":%zu}\n\n{\"key\":\"b\",\"value\":[[[1]]]}\n%s\n"
                         "{\"key\":\"behind\",\"value\":1}\n",
                         i, bad[i].line);
        kv_buffer_append_char(&lines, '\0');
        free(kv_test_program_write(&place, "lines", lines.bytes));
        assert_int_equal(shell("kvserver -c from.yaml --import lines 2>err"), 1);
        expect_in_file("err", bad[i].message);
        expect_in_file("err", "imported 2 keys in ");
        kv_buffer_fini(&lines);
    }
    expect_success("kvserver -c from.yaml --export >out 2>err");
    assert_int_equal(count_lines("out"), 2);
    expect_in_file("out", "{\"key\":\"a\",\"value\":10,");
}

static void too_long_line_is_not_read_to_its_end(void **state)
{
    (void)state;
    configure(ROCKSDB, "from", "limits: {key: 10, value: 20}\n");
    expect_success("printf '{\"key\":\"a\",\"value\":1}\\n' >lines");
    assert_int_equal(
        shell("{ cat lines; yes; } | tr -d '\\n' | kvserver -c from.yaml --import - 2>err"), 1);
    expect_in_file("err", "standard input:1: the line has more than 1104 bytes");
}

static void line_refused_by_the_store_is_reported_with_its_number(void **state)
{
    (void)state;
    static const struct kind small = {"memory", "max_bytes: 1000", false};
    configure(&small, "to", "listen: [{port: 0}]\n");
    char *text = kv_test_program_read(&place, "to.yaml"); /* the last `listen` is one too many */
    free(kv_test_program_write(&place, "to.yaml", strchr(text, '\n') + 1));
    free(text);
    write_many_lines(3000);
    assert_int_equal(shell("kvserver -c to.yaml --import lines 2>err"), 1);
    expect_in_file("err", ": the store is full");
    expect_in_file("err", "kvserver: lines:");
}

static void unreadable_file_is_named(void **state)
{
    (void)state;
    configure(ROCKSDB, "from", "");
    assert_int_equal(shell("kvserver -c from.yaml --import missing 2>err"), 1);
    expect_in_file("err", "missing: No such file");
    assert_int_equal(shell("kvserver -c from.yaml --import . 2>err"), 1);
    expect_in_file("err", ".: Is a directory");
}

static void actions_exclude_each_other(void **state)
{
    (void)state;
    assert_int_equal(shell("kvserver --export --import lines 2>err"), 2);
    expect_in_file("err", "exclude each other");
    assert_int_equal(shell("kvserver --import 2>err"), 2);
    expect_in_file("err", "--import needs a value");
}

/* Lines that come slowly: a pipe that the test writes to. */

static int open_pipe(char *path, size_t size)
{
    snprintf(path, size, "%s/pipe", place.folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    int fd = open(path, O_RDWR | O_CLOEXEC); /* waits for no reader */
    assert_true(fd >= 0);
    return fd;
}

static void write_to_pipe(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void await_empty_pipe(int fd)
{
    int64_t limit_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    for (int n = 1; n != 0;) {
        assert_int_equal(ioctl(fd, FIONREAD, &n), 0);
        assert_true(kv_test_now_ms() < limit_ms);
    }
}

static void interrupted_import_keeps_the_lines_read(void **state)
{
    (void)state;
    char path[128], config[128];
    configure(ROCKSDB, "from", "");
    int fd = open_pipe(path, sizeof(path));
    snprintf(config, sizeof(config), "%s/from.yaml", place.folder);
    kv_test_program_spawn(&place, (const char *[]){"-c", config, "--import", path, NULL});
    write_to_pipe(fd, "{\"key\":\"a\",\"value\":1}\n{\"key\":\"b\",\"value\":2}\n{\"key\":\"c\",");
    await_empty_pipe(fd);
    kill(place.pid, SIGINT);
    assert_int_equal(kv_test_program_wait(&place, KV_TEST_LIMIT_MS), 1);
    close(fd);
    expect_in_file("err", "imported 2 keys in ");
    expect_in_file("err", "interrupted before line 3");
    expect_success("kvserver -c from.yaml --export >out 2>err");
    assert_int_equal(count_lines("out"), 2);
}

/* A terminal. */

static bool has(const struct kv_buffer *text, const char *part)
{
    return text->len != 0 && memmem(text->bytes, text->len, part, strlen(part)) != NULL;
}

/* Reads what was written to the terminal until it has `part`. */
static void await_on_terminal(int terminal, struct kv_buffer *seen, const char *part)
{
    int64_t limit_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    while (!has(seen, part)) {
        struct pollfd polled = {.fd = terminal, .events = POLLIN};
        if (kv_test_now_ms() >= limit_ms)
            fail_msg("\"%s\" is not in %.*s", part, (int)seen->len, seen->bytes);
        if (poll(&polled, 1, 100) != 1)
            continue;
        ssize_t n = read(terminal, kv_buffer_reserve(seen, 4096), 4096);
        assert_true(n > 0);
        seen->len += (size_t)n;
    }
}

static void progress_is_drawn_on_a_terminal(void **state)
{
    enum {
        CHUNK = 100 /* lines, between two looks at the clock */
    };
    (void)state;
    char path[128], command[256];
    struct kv_buffer seen = {0};
    configure(ROCKSDB, "from", "");
    int fd = open_pipe(path, sizeof(path));
    int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    int other_end = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(other_end >= 0);
    snprintf(command, sizeof(command), "kvserver -c from.yaml --import pipe 2>%s &",
             ptsname(terminal));
    expect_success(command);
    int64_t limit_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    for (int i = 0; !has(&seen, "keys/s"); i++) {
        char line[64];
        snprintf(line, sizeof(line), "{\"key\":\"%d\",\"value\":1}\n", i);
        write_to_pipe(fd, line);
        struct pollfd polled = {.fd = terminal, .events = POLLIN};
        if (poll(&polled, 1, i % CHUNK == 0 ? 20 : 0) == 1)
            await_on_terminal(terminal, &seen, "\r\033[Kimported ");
        assert_true(kv_test_now_ms() < limit_ms);
    }
    close(fd);
    await_on_terminal(terminal, &seen, "\r\033[Kkvserver: imported ");
    await_on_terminal(terminal, &seen, " s\r\n");
    kv_buffer_fini(&seen);
    close(other_end);
    close(terminal);
}

static void volatile_store_is_served_once_it_is_loaded(void **state)
{
    (void)state;
    char path[128];
    struct kv_test_server server;
    int fd = open_pipe(path, sizeof(path));
    char *yaml = yaml_of(MEMORY, "to", "");
    kv_test_server_start_importing(&server, yaml, path);
    write_to_pipe(fd, "{\"key\":\"a\",\"value\":1}\n");
    await_empty_pipe(fd);
    assert_int_equal(kv_test_http_status(server.port, "GET", "/readyz", NULL, NULL), 503);
    assert_int_equal(kv_test_http_status(server.port, "GET", "/storage/a", NULL, NULL), 503);
    write_to_pipe(fd, "{\"key\":\"b\",\"value\":2}\n");
    close(fd);
    kv_test_server_await_ready(&server);
    kv_test_expect_value(server.port, "a", "1");
    kv_test_expect_value(server.port, "b", "2");
    kv_test_server_stop_cleanly(&server);
    free(yaml);
}

static void server_stopped_while_it_loads_logs_that(void **state)
{
    (void)state;
    char path[128];
    struct kv_test_server server;
    int fd = open_pipe(path, sizeof(path));
    char *yaml = yaml_of(MEMORY, "to", "");
    kv_test_server_start_importing(&server, yaml, path);
    kv_test_server_terminate(&server);
    assert_int_equal(kv_test_program_wait(&server.program, KV_TEST_LIMIT_MS), 1);
    char *log = kv_test_server_log(&server);
    assert_non_null(strstr(log, "interrupted before line 1"));
    assert_null(strstr(log, "stopping now")); /* nobody asked twice */
    kv_test_program_remove(&server.program);
    free(log);
    free(yaml);
    close(fd);
}

/* One test for each pair of a durable store and any. */
static int run_pairs(void)
{
    static struct pair pairs[N(kinds) * N(kinds)];
    static char names[N(pairs)][64];
    struct CMUnitTest tests[N(pairs)] = {{0}};
    size_t n = 0;
    for (size_t from = 0; from < N(kinds); from++) {
        for (size_t to = 0; to < N(kinds) && kinds[from].is_durable; to++, n++) {
            pairs[n] = (struct pair){&kinds[from], &kinds[to]};
            snprintf(names[n], sizeof(names[n]), "imported_data_equals_the_exported_data: %s to %s",
                     kinds[from].module, kinds[to].module);
            tests[n] = (struct CMUnitTest){.name = names[n],
                                           .test_func = imported_data_equals_the_exported_data,
                                           .initial_state = &pairs[n]};
        }
    }
    return _cmocka_run_group_tests("pairs", tests, n, NULL, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(volatile_store_has_nothing_to_export),
        TEST(store_in_use_is_refused_for_export_and_import),
        TEST(line_ends_within_a_value_become_spaces),
        TEST(export_of_a_missing_store_creates_nothing),
        TEST(store_of_a_killed_server_is_exported_completely),
        TEST(expired_key_is_not_exported),
        TEST(full_nonblocking_pipe_is_awaited),
        TEST(unwritable_output_is_an_error),
        TEST(many_keys_go_through_a_pipe_quickly),
        TEST(last_line_of_a_key_wins),
        TEST(blank_lines_and_a_missing_line_end_are_accepted),
        TEST(empty_file_is_an_import_of_nothing),
        TEST(failed_export_is_not_imported),
        TEST(piped_backup_is_refused_before_a_store_is_made),
        TEST(malformed_line_is_reported_with_its_number_and_ends_the_import),
        TEST(too_long_line_is_not_read_to_its_end),
        TEST(line_refused_by_the_store_is_reported_with_its_number),
        TEST(unreadable_file_is_named),
        TEST(actions_exclude_each_other),
        TEST(interrupted_import_keeps_the_lines_read),
        TEST(progress_is_drawn_on_a_terminal),
        TEST(volatile_store_is_served_once_it_is_loaded),
        TEST(server_stopped_while_it_loads_logs_that),
    };
    int n_failed = run_pairs();
    return n_failed + cmocka_run_group_tests(tests, NULL, NULL);
}
