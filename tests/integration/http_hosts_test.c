/* The hosts that requests may name, and the pages that may write, on a server that only this
 * machine reaches. */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static struct kv_test_server server;

static int tear_down(void **state)
{
    (void)state;
    kv_test_server_stop_cleanly(&server);
    return 0;
}

/* Asks in plain form, and with a header that only libh2o's carrier reads. Returns: the status. */
static int status_for(const char *host, const char *path)
{
    static const char *const more[] = {"", "If-Match: \"1\"\r\n"};
    int statuses[N(more)];
    for (size_t i = 0; i < N(more); i++) {
        struct kv_test_stream stream;
        struct kv_test_response response = {0};
        struct kv_buffer request = {0};
        kv_buffer_printf(&request, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", path, host, more[i]);
        kv_test_stream_open(&stream, server.port);
        kv_test_stream_put(&stream, kv_buffer_slice(&request));
        kv_test_stream_flush(&stream);
        assert_true(kv_test_http_receive(&stream, &response));
        statuses[i] = response.status;
        if (response.status == 403 &&
            memmem(response.body.bytes, response.body.len, "`hosts`", 7) == NULL)
            fail_msg("`hosts` is not in: %.*s", (int)response.body.len, response.body.bytes);
        kv_buffer_fini(&request);
        kv_test_response_fini(&response);
        kv_test_stream_close(&stream);
    }
    assert_int_equal(statuses[0], statuses[1]);
    return statuses[0];
}

static void assert_hosts(const char *const *hosts, size_t n, int status)
{
    static const char *const paths[] = {"/healthz", "/", "/nothing"};
    static const int served[] = {200, 200, 404};
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < N(paths); k++)
            if (status_for(hosts[i], paths[k]) != (status == 200 ? served[k] : status))
                fail_msg("%s of %s", paths[k], hosts[i]);
}

static const char *const own[] = {"localhost", "LocalHost:80", "127.0.0.1", "127.0.0.1:3000",
                                  "127.1.2.3", "[::1]",        "[::1]:80",  "[::ffff:127.0.0.1]:1",
                                  ""};
static const char *const others[] = {
    "evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
    "notlocalhost", "192.168.0.1:80",         "[2001:db8::1]",
    "0.0.0.0",      "evil.example:3000",
};

static void hosts_of_other_machines_are_403(void **state)
{
    (void)state;
    kv_test_start(&server, "");
    assert_hosts(own, N(own), 200);
    assert_hosts(others, N(others), 403);
}

static void a_foreign_name_for_this_address_reads_and_opens_nothing(void **state)
{
    static const char rest[] = "Host: rebound.example\r\nOrigin: http://rebound.example\r\n";
    static const char *const requests[] = {
        "GET /storage/secret HTTP/1.1\r\n",
        "HEAD /storage/secret HTTP/1.1\r\n",
        "OPTIONS /storage/secret HTTP/1.1\r\n",
        "PUT /storage/secret HTTP/1.1\r\nContent-Length: 11\r\n",
        "GET http://rebound.example/storage/secret HTTP/1.1\r\n",
        "GET /ws HTTP/1.1\r\n" KV_TEST_WS_UPGRADE,
    };
    (void)state;
    kv_test_start(&server, "");
    kv_test_store(server.port, "secret", "1");
    for (size_t i = 0; i < N(requests); i++) {
        struct kv_test_stream stream;
        struct kv_test_response response = {0};
        kv_test_stream_open(&stream, server.port);
        kv_test_stream_put(&stream, kv_slice_of(requests[i]));
        kv_test_stream_put(&stream, kv_slice_of(rest));
        kv_test_stream_put(&stream, KV_SLICE("\r\n{\"value\":2}"));
        kv_test_stream_flush(&stream);
        assert_true(kv_test_http_receive_head(&stream, &response));
        assert_int_equal(response.status, 403);
        assert_null(kv_test_response_header(&response, "access-control-allow-origin"));
        kv_test_response_fini(&response);
        kv_test_stream_close(&stream);
    }
    kv_test_expect_value(server.port, "secret", "1");
}

static void the_absolute_form_determines_the_host_of_a_request(void **state)
{
    (void)state;
    kv_test_start(&server, "");
    assert_int_equal(status_for("evil.example", "http://localhost/healthz"), 200);
    assert_int_equal(status_for("localhost", "http://evil.example/healthz"), 403);
}

static void listed_hosts_are_served(void **state)
{
    static const char *const listed[] = {"kv.example",        "KV.example:81", "a.lan.example",
                                         "a.b.LAN.example:1", "[2001:db8::1]", "10.0.0.1"};
    static const char *const unlisted[] = {"lan.example", "x.kv.example", "evil.example",
                                           "10.0.0.2"};
    (void)state;
    kv_test_start(&server, "hosts: [kv.example, '*.lan.example', '[2001:db8::1]', 10.0.0.1]\n");
    assert_hosts(own, N(own), 200);
    assert_hosts(listed, N(listed), 200);
    assert_hosts(unlisted, N(unlisted), 403);
}

static void a_star_serves_every_host(void **state)
{
    (void)state;
    kv_test_start(&server, "hosts: ['*']\n");
    assert_hosts(own, N(own), 200);
    assert_hosts(others, N(others), 200);
}

static int status_from(const char *origin)
{
    char header[256];
    snprintf(header, sizeof(header), "Origin: %s\r\n", origin);
    return kv_test_http_status(server.port, "PUT", "/storage/from", header, "{\"value\":1}");
}

static void origins_may_be_all_below_a_domain(void **state)
{
    static const char *const allowed[] = {"https://a.example.org", "https://a.b.Example.org",
                                          "http://c.example.net:81", "http://localhost"};
    static const char *const refused[] = {
        "https://example.org",        "http://a.example.org",
        "https://a.example.org:444",  "https://evilexample.org",
        "https://a.example.org.evil", "http://c.example.net",
        "https://evil/.example.org",  "null",
    };
    (void)state;
    kv_test_start(&server, "origins: ['https://*.example.org', 'http://*.example.net:81']\n");
    for (size_t i = 0; i < N(allowed); i++)
        if (status_from(allowed[i]) != 202)
            fail_msg("refused: %s", allowed[i]);
    for (size_t i = 0; i < N(refused); i++)
        if (status_from(refused[i]) != 403)
            fail_msg("allowed: %s", refused[i]);
}

static void a_star_allows_every_origin(void **state)
{
    (void)state;
    kv_test_start(&server, "origins: ['*']\n");
    assert_int_equal(status_from("https://anywhere.example"), 202);
    assert_int_equal(status_from("null"), 202);
}

/* A network with only a loopback interface, invisible to others. Returns: whether it can be
 * created. */
static bool enter_own_network(void)
{
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    if (unshare(CLONE_NEWNET) != 0)
        return false;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &loopback), 0);
    close(fd);
    return true;
}

static char *yaml_for_every_address(void)
{
    char *yaml = kv_test_yaml("access: {anonymous: {read: [''], write: ['']}}\n");
    char *host = strstr(yaml, "127.0.0.1");
    memcpy(host, "0.0.0.0  ", strlen("127.0.0.1"));
    return yaml;
}

/* The last test, as the process stays in that network. */
static void a_publicly_reachable_server_serves_every_host(void **state)
{
    (void)state;
    if (!enter_own_network()) {
        print_message("there can be no network of this test alone: %s\n", strerror(errno));
        skip();
    }
    char *yaml = yaml_for_every_address();
    kv_test_server_start(&server, yaml);
    free(yaml);
    assert_hosts(own, N(own), 200);
    assert_hosts(others, N(others), 200);
    tear_down(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(hosts_of_other_machines_are_403, tear_down),
        cmocka_unit_test_teardown(a_foreign_name_for_this_address_reads_and_opens_nothing,
                                  tear_down),
        cmocka_unit_test_teardown(the_absolute_form_determines_the_host_of_a_request, tear_down),
        cmocka_unit_test_teardown(listed_hosts_are_served, tear_down),
        cmocka_unit_test_teardown(a_star_serves_every_host, tear_down),
        cmocka_unit_test_teardown(origins_may_be_all_below_a_domain, tear_down),
        cmocka_unit_test_teardown(a_star_allows_every_origin, tear_down),
        cmocka_unit_test(a_publicly_reachable_server_serves_every_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
