/* The paths, their methods, and the pages that may use them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static int group_start(void **state)
{
    return kv_test_group_start_with(state,
                                    "origins: ['https://app.example', 'http://b.example:81']\n");
}

static const char *const allowed_origins[] = {
    "http://localhost:1234", "http://localhost",      "https://localhost",
    "http://127.0.0.1",      "http://127.0.0.1:8080", "http://[::1]:80",
    "http://[::1]",          "https://app.example",   "http://b.example:81",
};

static const char *const refused_origins[] = {
    "null",
    "http://evil.example",
    "http://app.example",
    "https://app.example:444",
    "https://app.example.evil.example",
    "https://evil-app.example",
    "http://b.example",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://evil.example/http://localhost",
    "http://localhost@evil.example",
    "localhost",
};

static void expect_json_error(const struct kv_test_response *response)
{
    const char *type = kv_test_response_header(response, "content-type");
    assert_non_null(type);
    assert_int_equal(strncmp(type, "application/json", 16), 0);
    assert_true(kv_slice_has_prefix(kv_buffer_slice(&response->body), KV_SLICE("{\"error\":")));
}

static void expect_contains(const struct kv_test_response *response, const char *part)
{
    if (memmem(response->body.bytes, response->body.len, part, strlen(part)) == NULL)
        fail_msg("\"%s\" is not in: %.*s", part, (int)response->body.len, response->body.bytes);
}

static void unknown_path_is_404_and_points_to_the_keys(void **state)
{
    static const char *const paths[] = {
        "//",        "/storages/k",     "/Storage/k",  "/ws/",         "/WS",
        "/healthz/", "/x/../storage/k", "//storage/k", "/%73torage/k", "/favicon.ico"};
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_store(kv_test_port(state), "k", "1");
    kv_test_stream_open(&stream, kv_test_port(state));
    for (size_t i = 0; i < N(paths); i++) {
        int status = kv_test_http_ask(&stream, "GET", paths[i], NULL, NULL, &response);
        if (status != 404)
            print_error("GET %s\n", paths[i]);
        assert_int_equal(status, 404);
        expect_json_error(&response);
        expect_contains(&response, "keys are under /storage/");
    }
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void expect_allow(uint16_t port, const char *method, const char *path,
                         const char *const allowed[])
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, port);
    assert_int_equal(kv_test_http_ask(&stream, method, path, NULL, NULL, &response), 405);
    expect_json_error(&response);
    const char *allow = kv_test_response_header(&response, "allow");
    assert_non_null(allow);
    for (size_t i = 0; allowed[i] != NULL; i++)
        assert_non_null(strstr(allow, allowed[i]));
    assert_null(strstr(allow, method));
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void root_page_points_to_the_keys(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, kv_test_port(state));
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/", NULL, NULL, &response), 200);
    assert_string_equal(kv_test_response_header(&response, "content-type"),
                        "text/plain; charset=utf-8");
    expect_contains(&response, "KvServer");
    expect_contains(&response, "/storage/");
    assert_int_equal(kv_test_http_ask(&stream, "POST", "/", NULL, "{}", &response), 405);
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/?a", NULL, NULL, &response), 200);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void other_method_on_a_known_path_is_405_with_allow(void **state)
{
    static const char *const storage[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", NULL};
    static const char *const get[] = {"GET", NULL};
    expect_allow(kv_test_port(state), "TRACE", "/storage/k", storage);
    expect_allow(kv_test_port(state), "BREW", "/storage/", storage);
    expect_allow(kv_test_port(state), "POST", "/healthz", get);
    expect_allow(kv_test_port(state), "DELETE", "/readyz", get);
    expect_allow(kv_test_port(state), "POST", "/ws", get);
}

static void healthz_and_readyz_are_200(void **state)
{
    static const char *const paths[] = {"/healthz", "/readyz", "/healthz?verbose"};
    for (size_t i = 0; i < N(paths); i++)
        assert_int_equal(kv_test_http_status(kv_test_port(state), "GET", paths[i], NULL, NULL),
                         200);
    assert_int_equal(kv_test_http_status(kv_test_port(state), "HEAD", "/readyz", NULL, NULL), 200);
}

static int status_with_origin(void **state, const char *method, const char *path,
                              const char *other_headers, const char *origin, const char *body)
{
    struct kv_buffer headers = {0};
    kv_buffer_printf(&headers, "%sOrigin: %s\r\n", other_headers, origin);
    kv_buffer_append_char(&headers, '\0');
    int status = kv_test_http_status(kv_test_port(state), method, path, headers.bytes, body);
    kv_buffer_fini(&headers);
    return status;
}

static void write_from_an_allowed_origin_passes(void **state)
{
    for (size_t i = 0; i < N(allowed_origins); i++) {
        assert_int_equal(status_with_origin(state, "POST", "/storage/from", "", allowed_origins[i],
                                            "{\"value\":1}"),
                         202);
        assert_int_equal(
            status_with_origin(state, "DELETE", "/storage/from", "", allowed_origins[i], NULL),
            200);
    }
}

static void write_from_another_origin_is_403_and_changes_nothing(void **state)
{
    kv_test_store(kv_test_port(state), "guarded", "\"as it was\"");
    for (size_t i = 0; i < N(refused_origins); i++) {
        const char *origin = refused_origins[i];
        assert_int_equal(
            status_with_origin(state, "POST", "/storage/guarded", "", origin, "{\"value\":1}"),
            403);
        assert_int_equal(
            status_with_origin(state, "PUT", "/storage/guarded", "", origin, "{\"value\":1}"), 403);
        assert_int_equal(status_with_origin(state, "DELETE", "/storage/guarded", "", origin, NULL),
                         403);
    }
    kv_test_expect_value(kv_test_port(state), "guarded", "\"as it was\"");
}

static void refusal_names_the_origin(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, kv_test_port(state));
    kv_test_http_ask(&stream, "DELETE", "/storage/k", "Origin: http://evil.example\r\n", NULL,
                     &response);
    expect_contains(&response, "http://evil.example");
    expect_contains(&response, "origins");
    kv_test_http_ask(&stream, "GET", "/ws", KV_TEST_WS_UPGRADE "Origin: http://bad.example\r\n",
                     NULL, &response);
    expect_contains(&response, "http://bad.example");
    kv_test_http_ask(&stream, "DELETE", "/storage/k", "Origin: http://\xff\"e\r\n", NULL,
                     &response);
    expect_contains(&response, "http://??e");
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static size_t count_in_log(const struct kv_test_server *server, const char *part)
{
    size_t n = 0;
    char *log = kv_test_server_log(server);
    for (const char *at = log; (at = strstr(at, part)) != NULL; at += strlen(part))
        n++;
    free(log);
    return n;
}

static void refused_origin_is_logged_once_and_many_do_not_fill_the_log(void **state)
{
    enum {
        ORIGINS = 1000,
        MOST_LINES = 64
    };
    const struct kv_test_server *server = *state;
    for (int i = 0; i < 5; i++)
        status_with_origin(state, "DELETE", "/storage/k", "", "http://again.example", NULL);
    kv_test_await_log(server, "http://again.example");
    assert_int_equal(count_in_log(server, "http://again.example"), 1);
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, server->port);
    for (int i = 0; i < ORIGINS; i++) {
        char header[64];
        snprintf(header, sizeof(header), "Origin: http://p%d.many.example\r\n", i);
        kv_test_http_ask(&stream, "DELETE", "/storage/k", header, NULL, &response);
        assert_int_equal(response.status, 403);
    }
    kv_test_await_log(server, ".many.example");
    assert_in_range(count_in_log(server, ".many.example"), 1, MOST_LINES);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void get_from_any_origin_passes(void **state)
{
    kv_test_store(kv_test_port(state), "open", "1");
    for (size_t i = 0; i < N(refused_origins); i++)
        assert_int_equal(
            status_with_origin(state, "GET", "/storage/open", "", refused_origins[i], NULL), 200);
}

static void operators_paths_are_refused_to_other_pages(void **state)
{
    static const char *const paths[] = {"/admin/backup", "/admin/clients", "/admin/slowlog",
                                        "/admin/cluster", "/metrics"};
    static const char *const refused[] = {
        "Origin: https://evil.example\r\n", "Origin: null\r\n",
        "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n"};
    static const char *const passing[] = {
        "", "Sec-Fetch-Site: same-origin\r\n", "Sec-Fetch-Site: none\r\n",
        "Origin: http://localhost:5173\r\nSec-Fetch-Site: same-site\r\n"};
    uint16_t port = kv_test_port(state);
    for (size_t i = 0; i < N(paths); i++)
        for (size_t j = 0; j < N(refused); j++)
            assert_int_equal(kv_test_http_status(port, "GET", paths[i], refused[j], NULL), 403);
    for (size_t i = 1; i < N(paths); i++) /* a backup ends with its connection */
        for (size_t j = 0; j < N(passing); j++)
            assert_int_not_equal(kv_test_http_status(port, "GET", paths[i], passing[j], NULL), 403);
    assert_int_equal(kv_test_http_status(port, "GET", "/healthz", refused[3], NULL), 200);
}

static void upgrade_from_an_allowed_origin_passes(void **state)
{
    for (size_t i = 0; i < N(allowed_origins); i++)
        assert_int_equal(
            status_with_origin(state, "GET", "/ws", KV_TEST_WS_UPGRADE, allowed_origins[i], NULL),
            101);
}

static void upgrade_from_another_origin_is_403(void **state)
{
    for (size_t i = 0; i < N(refused_origins); i++)
        assert_int_equal(
            status_with_origin(state, "GET", "/ws", KV_TEST_WS_UPGRADE, refused_origins[i], NULL),
            403);
}

static void only_allowed_pages_may_read_answers(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_store(kv_test_port(state), "page", "1");
    kv_test_stream_open(&stream, kv_test_port(state));
    kv_test_http_ask(&stream, "GET", "/storage/page", "Origin: https://app.example\r\n", NULL,
                     &response);
    assert_string_equal(kv_test_response_header(&response, "access-control-allow-origin"),
                        "https://app.example");
    assert_string_equal(kv_test_response_header(&response, "access-control-expose-headers"),
                        "ETag, KV-TTL");
    assert_string_equal(kv_test_response_header(&response, "vary"), "Origin");
    kv_test_http_ask(&stream, "GET", "/storage/page", "Origin: https://evil.example\r\n", NULL,
                     &response);
    assert_null(kv_test_response_header(&response, "access-control-allow-origin"));
    kv_test_stream_close(&stream);
    kv_test_response_fini(&response);
}

static void preflight_of_an_allowed_page_names_methods_and_headers(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, kv_test_port(state));
    int status = kv_test_http_ask(&stream, "OPTIONS", "/storage/page",
                                  "Origin: http://localhost:5173\r\n"
                                  "Access-Control-Request-Method: PUT\r\n"
                                  "Access-Control-Request-Headers: content-type, if-match\r\n",
                                  NULL, &response);
    assert_int_equal(status, 204);
    assert_non_null(
        strstr(kv_test_response_header(&response, "access-control-allow-methods"), "PUT"));
    assert_non_null(
        strstr(kv_test_response_header(&response, "access-control-allow-headers"), "If-Match"));
    status = kv_test_http_ask(&stream, "OPTIONS", "/storage/page",
                              "Origin: https://evil.example\r\n", NULL, &response);
    assert_int_equal(status, 204);
    assert_null(kv_test_response_header(&response, "access-control-allow-methods"));
    kv_test_stream_close(&stream);
    kv_test_response_fini(&response);
}

static void refused_upgrade_leaves_the_connection_usable(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, kv_test_port(state));
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/ws",
                                      "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                                      "Sec-WebSocket-Version: 8\r\n",
                                      NULL, &response),
                     426);
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/healthz", NULL, NULL, &response), 200);
    kv_test_stream_close(&stream);
    kv_test_response_fini(&response);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_path_is_404_and_points_to_the_keys),
        cmocka_unit_test(root_page_points_to_the_keys),
        cmocka_unit_test(other_method_on_a_known_path_is_405_with_allow),
        cmocka_unit_test(healthz_and_readyz_are_200),
        cmocka_unit_test(write_from_an_allowed_origin_passes),
        cmocka_unit_test(write_from_another_origin_is_403_and_changes_nothing),
        cmocka_unit_test(get_from_any_origin_passes),
        cmocka_unit_test(operators_paths_are_refused_to_other_pages),
        cmocka_unit_test(upgrade_from_an_allowed_origin_passes),
        cmocka_unit_test(upgrade_from_another_origin_is_403),
        cmocka_unit_test(only_allowed_pages_may_read_answers),
        cmocka_unit_test(preflight_of_an_allowed_page_names_methods_and_headers),
        cmocka_unit_test(refusal_names_the_origin),
        cmocka_unit_test(refused_origin_is_logged_once_and_many_do_not_fill_the_log),
        cmocka_unit_test(refused_upgrade_leaves_the_connection_usable),
    };
    return cmocka_run_group_tests(tests, group_start, kv_test_group_stop);
}
