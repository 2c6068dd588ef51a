/* SIGHUP: what is loaded anew, what has changed and would need a restart, and what is wrong. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/folder.h"

#define FILE_NAME "kvserver.yaml"

static struct kv_test_server server;

/* Replaces the first `from` in the server's file. */
static void replace(const char *from, const char *to)
{
    struct kv_buffer text = {0};
    char *before = kv_test_program_read(&server.program, FILE_NAME);
    const char *at = strstr(before, from);
    assert_non_null(at);
    kv_buffer_append(&text, (struct kv_slice){before, (size_t)(at - before)});
    kv_buffer_append(&text, kv_slice_of(to));
    kv_buffer_append(&text, kv_slice_of(at + strlen(from)));
    kv_buffer_append_char(&text, '\0');
    kv_test_file_put(server.program.folder, FILE_NAME, text.bytes);
    kv_buffer_fini(&text);
    free(before);
}

static void reload(void)
{
    assert_int_equal(kill(server.program.pid, SIGHUP), 0);
}

static void each_script_and_each_sink_is_named(void **state)
{
    (void)state;
    char *folder = kv_test_folder_make();
    kv_test_file_put(folder, "hook.lua", "function on_set() end\n");
    kv_test_start_in(&server, folder,
                     "scripts: [{file: '%s/hook.lua'}]\n"
                     "sinks: [{module: file, options: {path: '%s/one'}}, "
                     "{module: file, options: {path: '%s/two'}}]\n");
    reload();
    kv_test_await_log(&server, "script/hook.lua: reloaded");
    kv_test_await_log(&server, "sink/file: reopened");
    kv_test_await_log(&server, "sink/file#2: reopened");
    kv_test_await_log(&server, FILE_NAME ": nothing has changed that needs a restart");
    kv_test_server_stop_cleanly(&server);
    kv_test_folder_remove(folder);
    free(folder);
}

static void what_needs_a_restart_is_named_with_both_values(void **state)
{
    (void)state;
    kv_test_start(&server, "limits: {value: 1MiB, key: 1024}\n");
    replace("limits: {value: 1MiB, key: 1024}\n",
            "limits: {value: 2MiB, key: 1KiB}\ntrusted_proxies: [10.0.0.1]\n");
    reload();
    kv_test_await_log(&server, "limits.value changed from 1MiB to 2MiB; restart to apply");
    kv_test_await_log(&server, "trusted_proxies[0] (10.0.0.1) was added; restart to apply");
    char *log = kv_test_server_log(&server);
    assert_null(strstr(log, "trusted_proxies changed"));
    assert_null(strstr(log, "limits.key")); /* written in another way only */
    free(log);
    kv_test_server_stop_cleanly(&server);
}

static int put_from_page(void)
{
    return kv_test_http_status(server.port, "PUT", "/storage/a", "Origin: https://example.org\r\n",
                               "{\"value\":1}");
}

static int get_for_host(void)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, server.port);
    kv_test_stream_put(&stream, KV_SLICE("GET /healthz HTTP/1.1\r\nHost: kv.example.org\r\n\r\n"));
    assert_true(kv_test_http_receive(&stream, &response));
    kv_test_stream_close(&stream);
    int status = response.status;
    kv_test_response_fini(&response);
    return status;
}

/* On all loops: each takes the change up by itself. */
static void await_statuses(int of_page, int of_host)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    for (int n_right = 0; n_right < 16;) {
        bool is_right = put_from_page() == of_page && get_for_host() == of_host;
        n_right = is_right ? n_right + 1 : 0;
        assert_true(kv_test_now_ms() < until_ms);
    }
}

static void origins_hosts_and_log_are_applied(void **state)
{
    (void)state;
    kv_test_start(&server, "log: {level: info}\n");
    assert_int_equal(put_from_page(), 403);
    assert_int_equal(get_for_host(), 403);
    replace("log: {level: info}\n", "log: {level: info, slow: 1s}\nhosts: [kv.example.org]\n"
                                    "origins: ['https://*.example.org', 'https://example.org']\n");
    reload();
    kv_test_await_log(&server, FILE_NAME ": nothing has changed that needs a restart");
    await_statuses(202, 200);
    replace("origins: ['https://*.example.org', 'https://example.org']\n", "");
    replace("hosts: [kv.example.org]\n", "");
    replace("level: info", "level: warn");
    reload();
    await_statuses(403, 403);
    kv_test_server_stop_cleanly(&server);
}

static void secret_that_has_changed_is_not_shown(void **state)
{
    struct kv_buffer module = {0};
    (void)state;
    kv_buffer_printf(&module, "%s/sink/webhook.so", getenv("KV_TEST_MODULES"));
    kv_buffer_append_char(&module, '\0');
    bool is_there = access(module.bytes, F_OK) == 0;
    kv_buffer_fini(&module);
    if (!is_there)
        skip(); /* it is the sink with secrets */
    kv_test_start(&server,
                  "sinks: [{module: webhook, options: {url: 'http://127.0.0.1:1/', secret: "
                  "plover}}]\n");
    replace("plover", "xyzzy");
    reload();
    kv_test_await_log(&server, "sinks[0].options.secret has changed; restart to apply");
    char *log = kv_test_server_log(&server);
    assert_null(strstr(log, "plover"));
    assert_null(strstr(log, "xyzzy"));
    free(log);
    kv_test_server_stop_cleanly(&server);
}

/* Each line of it, without the program's name before it. */
static void expect_in_log(char *lines)
{
    const struct kv_slice name = KV_SLICE("kvserver: ");
    int n = 0;
    for (char *line = lines, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, n++) {
        *end = '\0';
        assert_true(kv_slice_has_prefix(kv_slice_of(line), name));
        kv_test_await_log(&server, line + name.len);
    }
    assert_true(n >= 2);
}

static void broken_file_is_told_as_at_the_start_and_changes_nothing(void **state)
{
    struct kv_test_outcome outcome;
    (void)state;
    kv_test_start(&server, "limits: {value: 1MiB}\n");
    replace("limits: {value: 1MiB}\n", "limits: {valu: 1MiB}\nthread: 3\n");
    reload();
    char *path = kv_test_path(server.program.folder, FILE_NAME);
    kv_test_program_run((const char *[]){"--check-config", "-c", path, NULL}, &outcome);
    assert_int_equal(outcome.exit_code, 2);
    expect_in_log(outcome.err);
    kv_test_await_log(&server, "keeping the old configuration");
    kv_test_store(server.port, "k", "1");
    kv_test_outcome_fini(&outcome);
    free(path);
    kv_test_server_stop_cleanly(&server);
}

static void missing_file_is_told(void **state)
{
    (void)state;
    kv_test_start(&server, "");
    char *path = kv_test_path(server.program.folder, FILE_NAME);
    assert_int_equal(unlink(path), 0);
    reload();
    kv_test_await_log(&server, FILE_NAME ": cannot be opened: No such file");
    kv_test_store(server.port, "k", "1");
    free(path);
    kv_test_server_stop_cleanly(&server);
}

/* To open it would wait for a writer. */
static void pipe_in_a_scripts_place_is_refused_and_holds_nothing_up(void **state)
{
    (void)state;
    char *folder = kv_test_folder_make();
    char *script = kv_test_path(folder, "hook.lua");
    kv_test_file_put(folder, "hook.lua", "function on_set() end\n");
    kv_test_start_in(&server, folder, "scripts: [{file: '%s/hook.lua'}]\n");
    assert_int_equal(unlink(script), 0);
    assert_int_equal(mkfifo(script, 0600), 0);
    reload();
    kv_test_await_log(&server, "hook.lua is not a regular file");
    kv_test_store(server.port, "k", "1");
    kv_test_server_stop_cleanly(&server);
    kv_test_folder_remove(folder);
    free(script);
    free(folder);
}

static void script_that_refuses_its_options_keeps_its_previous_version(void **state)
{
    (void)state;
    char *folder = kv_test_folder_make();
    kv_test_file_put(folder, "hook.lua", "function before_delete() kv.refuse('no') end\n");
    kv_test_start_in(&server, folder, "scripts: [{file: '%s/hook.lua', options: {a: b}}]\n");
    kv_test_file_put(folder, "hook.lua",
                     "kv.fault('a', 'not b')\nkv.fault('', 'c is missing')\nerror('so what')\n");
    reload();
    kv_test_await_log(&server, "script/hook.lua: options.a: not b; keeping the previous version");
    kv_test_await_log(&server, "script/hook.lua: options: c is missing; keeping the previous");
    kv_test_await_log(&server, "scripts[0]: script/hook.lua cannot be loaded, as was said above");
    kv_test_await_log(&server, "the server would not start with this file");
    assert_int_equal(kv_test_http_status(server.port, "DELETE", "/storage/k", NULL, NULL), 403);
    char *log = kv_test_server_log(&server);
    assert_null(strstr(log, "so what")); /* it comes of the faults */
    assert_null(strstr(strstr(log, "options.a: ") + 1, "options.a: "));
    free(log);
    kv_test_server_stop_cleanly(&server);
    kv_test_folder_remove(folder);
    free(folder);
}

/* Starts a server with this file alone. */
static void start_with(const char *yaml)
{
    char *whole = kv_test_with_modules(yaml);
    kv_test_server_start(&server, whole);
    free(whole);
}

static void file_that_names_no_store_says_that_nothing_is_kept(void **state)
{
    (void)state;
    start_with("listen: [{port: %port}]\nstorage: {memory: {max_bytes: 1MiB}}\n");
    kv_test_await_log(&server, "without `storage: {module: …}` in the configuration data is in "
                               "memory only");
    kv_test_server_stop_cleanly(&server);
    start_with("listen: [{port: %port}]\nstorage: {module: memory}\n"); /* as somebody wants it */
    kv_test_await_log(&server, "listening on");
    char *log = kv_test_server_log(&server);
    assert_null(strstr(log, "in memory only"));
    free(log);
    kv_test_server_stop_cleanly(&server);
}

/* Its port may be in use: the line comes before that is noticed. */
static void server_without_a_file_says_that_it_keeps_nothing(void **state)
{
    (void)state;
    kv_test_program_prepare(&server.program);
    kv_test_program_spawn(&server.program, (const char *[]){NULL});
    kv_test_await_log(&server, "without a configuration (-c FILE) data is in memory only");
    kv_test_server_kill(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_script_and_each_sink_is_named),
        cmocka_unit_test(what_needs_a_restart_is_named_with_both_values),
        cmocka_unit_test(origins_hosts_and_log_are_applied),
        cmocka_unit_test(secret_that_has_changed_is_not_shown),
        cmocka_unit_test(broken_file_is_told_as_at_the_start_and_changes_nothing),
        cmocka_unit_test(missing_file_is_told),
        cmocka_unit_test(pipe_in_a_scripts_place_is_refused_and_holds_nothing_up),
        cmocka_unit_test(script_that_refuses_its_options_keeps_its_previous_version),
        cmocka_unit_test(file_that_names_no_store_says_that_nothing_is_kept),
        cmocka_unit_test(server_without_a_file_says_that_it_keeps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
