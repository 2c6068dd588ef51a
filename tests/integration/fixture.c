/*
 * One server for a group of tests: each test keeps to keys of its own, so that none depends on what
 * another left behind.
 */
#include "fixture.h"

#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/client/tls.h"

enum {
    CLOCK_ERROR_OF_TWINS_MS = 10
};

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    if (value == NULL)
        fail_msg("%s is not set", name);
    return value;
}

/* The fast path is on unless the tests are to run without it. */
static const char *front_yaml(void)
{
    const char *front = getenv("KV_TEST_FRONT");
    return front != NULL && strcmp(front, "off") == 0 ? "http: {front: false}\n" : "";
}

char *kv_test_yaml(const char *more)
{
    struct kv_buffer yaml = {0};
    kv_buffer_append(&yaml, KV_SLICE("listen: [{host: 127.0.0.1, port: %port"));
    if (kv_test_tls_is_wanted())
        kv_buffer_printf(&yaml, ", tls: {cert: %s, key: %s}", kv_test_tls_file(),
                         kv_test_tls_file());
    kv_buffer_append(&yaml, KV_SLICE("}]\nthreads: 2\n"));
    const char *options = getenv("KV_TEST_STORE_OPTIONS");
    kv_buffer_printf(&yaml, "modules: %s\nstorage:\n  module: %s\n  %s: {%s}\n%s%s",
                     setting("KV_TEST_MODULES"), setting("KV_TEST_STORE"), setting("KV_TEST_STORE"),
                     options == NULL ? "" : options, front_yaml(), more);
    kv_buffer_append_char(&yaml, '\0');
    return yaml.bytes;
}

char *kv_test_with_modules(const char *yaml)
{
    struct kv_buffer text = {0};
    kv_buffer_printf(&text, "%smodules: %s\n", yaml, getenv("KV_TEST_MODULES"));
    kv_buffer_append_char(&text, '\0');
    return text.bytes;
}

bool kv_test_has_module(const char *name)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s.so", getenv("KV_TEST_MODULES"), name);
    return access(path, F_OK) == 0;
}

void kv_test_skip_for(const char *why)
{
    print_message("skipped: %s\n", why);
    skip();
}

void kv_test_expect_part(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, text);
}

void kv_test_start(struct kv_test_server *server, const char *more)
{
    char *yaml = kv_test_yaml(more);
    kv_test_server_start(server, yaml);
    free(yaml);
}

void kv_test_start_in(struct kv_test_server *server, const char *folder, const char *more)
{
    struct kv_buffer yaml = {0};
    for (const char *at = more, *mark; *at != '\0'; at = mark) {
        mark = strstr(at, "%s");
        size_t len = mark == NULL ? strlen(at) : (size_t)(mark - at);
        kv_buffer_append(&yaml, (struct kv_slice){at, len});
        mark = at + len;
        if (*mark != '\0') {
            kv_buffer_append(&yaml, kv_slice_of(folder));
            mark += 2;
        }
    }
    kv_buffer_append_char(&yaml, '\0');
    kv_test_start(server, yaml.bytes);
    kv_buffer_fini(&yaml);
}

void kv_test_await_log(const struct kv_test_server *server, const char *part)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    for (bool is_there = false; !is_there;) {
        char *log = kv_test_server_log(server);
        is_there = strstr(log, part) != NULL;
        if (!is_there && kv_test_now_ms() > until_ms)
            fail_msg("\"%s\" is not in: %s", part, log);
        free(log);
        if (!is_there)
            kv_test_sleep_ms(5);
    }
}

uint16_t kv_test_await_tls_port(const struct kv_test_server *server)
{
    static const char mark[] = "listening on https://127.0.0.1:";
    kv_test_await_log(server, mark);
    char *log = kv_test_server_log(server);
    uint16_t port = (uint16_t)atoi(strstr(log, mark) + strlen(mark));
    free(log);
    return port;
}

uint16_t kv_test_server_start_tls(struct kv_test_server *server, const char *more)
{
    struct kv_buffer yaml = {0};
    const char *pem = kv_test_tls_file();
    kv_buffer_printf(&yaml,
                     "listen: [{port: %%port}, {port: 0, tls: {cert: '%s', key: '%s'}}]\n"
                     "modules: %s\nstorage: {module: memory}\n%s",
                     pem, pem, getenv("KV_TEST_MODULES"), more);
    kv_buffer_append_char(&yaml, '\0');
    kv_test_server_start(server, yaml.bytes);
    kv_buffer_fini(&yaml);
    return kv_test_await_tls_port(server);
}

bool kv_test_uses_store(const char *module)
{
    return strcmp(setting("KV_TEST_STORE"), module) == 0;
}

bool kv_test_has_durable_store(void)
{
    return kv_test_uses_store("rocksdb") || kv_test_uses_store("lmdb");
}

bool kv_test_has_twins(void)
{
    return kv_test_n_servers() > 1;
}

/* A subscribe is answered after all earlier changes have been told. */
void kv_test_settle(uint16_t port)
{
    for (int i = 0; kv_test_has_twins() && i < kv_test_n_servers(); i++) {
        struct kv_test_ws ws;
        kv_test_ws_open(&ws, port);
        kv_test_ws_send_text(&ws,
                             "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"key\":\"settled\"}}");
        kv_test_ws_expect_ok(&ws, "1", "\"settled\"");
        kv_test_ws_close(&ws);
    }
}

bool kv_test_lists_in_order(void)
{
    return !kv_test_has_twins();
}

int64_t kv_test_clock_error_ms(void)
{
    return kv_test_has_twins() ? CLOCK_ERROR_OF_TWINS_MS : 0;
}

bool kv_test_await_hurried_end(struct kv_test_server *server)
{
    int exit_code = kv_test_program_wait(&server->program, KV_TEST_LIMIT_MS);
    if (exit_code == 1 && kv_test_has_durable_store()) {
        char *log = kv_test_server_log(server);
        assert_true(strstr(log, "is not closed") != NULL ||
                    strstr(log, "without closing the store") != NULL);
        free(log);
        return false;
    }
    if (exit_code != 0)
        fail_msg("the server has ended with %d: %s", exit_code, kv_test_server_log(server));
    return true;
}

int kv_test_group_start_with(void **state, const char *more)
{
    struct kv_test_server *server = kv_calloc(1, sizeof(*server));
    kv_test_start(server, more);
    *state = server;
    return 0;
}

int kv_test_group_start(void **state)
{
    return kv_test_group_start_with(state, "");
}

int kv_test_group_stop(void **state)
{
    struct kv_test_server *server = *state;
    int exit_code = kv_test_server_stop(server);
    free(server);
    return exit_code;
}

uint16_t kv_test_port(void **state)
{
    const struct kv_test_server *server = *state;
    return server->port;
}

char *kv_test_letters(char letter, size_t len)
{
    char *text = kv_alloc(len + 1);
    memset(text, letter, len);
    text[len] = '\0';
    return text;
}

bool kv_test_is_value_body(struct kv_slice body, struct kv_slice value)
{
    struct kv_slice start = KV_SLICE("{\"value\":");
    if (!kv_slice_has_prefix(body, start) || body.len < start.len + value.len + 1)
        return false;
    struct kv_slice rest = {body.bytes + start.len, body.len - start.len - 1};
    if (rest.len == value.len + 1 && rest.bytes[0] == ' ')
        rest = (struct kv_slice){rest.bytes + 1, rest.len - 1};
    return kv_slice_equals(rest, value) && body.bytes[body.len - 1] == '}';
}

static void exchange(uint16_t port, const char *method, const char *path, struct kv_slice body,
                     struct kv_test_response *ret)
{
    struct kv_test_stream stream;
    struct kv_buffer whole_path = {0};
    kv_buffer_printf(&whole_path, "/storage/%s", path);
    kv_test_stream_open(&stream, port);
    kv_test_http_exchange(&stream, method, kv_buffer_slice(&whole_path), NULL, body, ret);
    kv_test_stream_close(&stream);
    kv_buffer_fini(&whole_path);
}

void kv_test_store_at(uint16_t port, const char *path, const char *value, const char *file,
                      int line)
{
    struct kv_test_response response = {0};
    struct kv_buffer body = {0};
    kv_buffer_printf(&body, "{\"value\":%s}", value);
    exchange(port, "POST", path, kv_buffer_slice(&body), &response);
    _assert_int_equal((LargestIntegralType)response.status, 202, file, line);
    kv_test_response_fini(&response);
    kv_buffer_fini(&body);
}

void kv_test_expect_value_at(uint16_t port, const char *path, const char *value, const char *file,
                             int line)
{
    struct kv_test_response response = {0};
    exchange(port, "GET", path, (struct kv_slice){0}, &response);
    _assert_int_equal((LargestIntegralType)response.status, 200, file, line);
    if (!kv_test_is_value_body(kv_buffer_slice(&response.body), kv_slice_of(value))) {
        print_error("expected the value %.300s, got the body %.*s\n", value,
                    (int)(response.body.len < 300 ? response.body.len : 300), response.body.bytes);
        _fail(file, line);
    }
    kv_test_response_fini(&response);
}

void kv_test_expect_missing_at(uint16_t port, const char *path, const char *file, int line)
{
    struct kv_test_response response = {0};
    exchange(port, "GET", path, (struct kv_slice){0}, &response);
    _assert_int_equal((LargestIntegralType)response.status, 204, file, line);
    _assert_int_equal(response.body.len, 0, file, line);
    kv_test_response_fini(&response);
}

void kv_test_await_value(uint16_t port, const char *path, const char *value)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    struct kv_test_response response = {0};
    for (;;) {
        exchange(port, "GET", path, (struct kv_slice){0}, &response);
        if (response.status == 200 &&
            kv_test_is_value_body(kv_buffer_slice(&response.body), kv_slice_of(value)))
            break;
        if (kv_test_now_ms() > until_ms)
            fail_msg("%s: expected the value %s, got %d with %.*s", path, value, response.status,
                     (int)response.body.len, response.body.bytes);
        kv_test_sleep_ms(2);
    }
    kv_test_response_fini(&response);
}
