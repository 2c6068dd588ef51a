/*
 * TLS: the clients that are served, refusals, the choice of certificates, and that nothing is sent
 * unencrypted. The protocols' own tests run again over TLS (integration_*_tls); certificates_test.c
 * changes certificates under load.
 */
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fixture.h"
#include "support/client/folder.h"
#include "support/client/tap.h"
#include "support/client/tls.h"

enum {
    MISCONFIGURED = 2,
    SHORT_S = 6 /* the validity of a certificate that expires in the test */
};

static struct kv_test_server server;
static uint16_t port;   /* of TLS; the server's own is in clear */
static char *folder;    /* of the certificates */
static char *authority; /* that has signed those of server and clients */

static char *make_certificate(const char *file, const char *name, const char *issuer)
{
    char *path = kv_test_path(folder, file);
    kv_test_certificate_write(path, name, issuer, 30);
    return path;
}

/* tls: the block, in which each `@` stands for the folder; more: further lines. */
static void start(const char *tls, const char *more)
{
    struct kv_buffer yaml = {0};
    kv_buffer_printf(&yaml, "listen:\n- {port: %%port}\n- port: 0\n  tls: ");
    for (; *tls != '\0'; tls++)
        if (*tls == '@')
            kv_buffer_append(&yaml, kv_slice_of(folder));
        else
            kv_buffer_append_char(&yaml, *tls);
    kv_buffer_printf(&yaml, "\nthreads: 2\nmodules: %s\nstorage: {module: memory}\n%s",
                     getenv("KV_TEST_MODULES"), more);
    kv_buffer_append_char(&yaml, '\0');
    kv_test_server_start(&server, yaml.bytes);
    kv_buffer_fini(&yaml);
    port = kv_test_await_tls_port(&server);
}

#define ONE_CERTIFICATE "{cert: '@/server.pem', key: '@/server.pem'}"

static bool connect_with(struct kv_test_stream *stream, const struct kv_test_tls_options *options)
{
    kv_test_stream_open_clear(stream, port);
    return kv_test_tls_connect(stream, options);
}

/* to: the port, or that of a tap. */
static void connect_to(struct kv_test_stream *stream, uint16_t to)
{
    kv_test_stream_open_clear(stream, to);
    assert_true(kv_test_tls_connect(stream, &(struct kv_test_tls_options){0}));
}

static void connect_anyhow(struct kv_test_stream *stream)
{
    connect_to(stream, port);
}

static int ask_for_health(struct kv_test_stream *stream)
{
    struct kv_test_response response = {0};
    int status = kv_test_http_ask(stream, "GET", "/healthz", NULL, NULL, &response);
    kv_test_response_fini(&response);
    return status;
}

/* Connects until the connection is counted: the server notices the ends of others in its own
 * time. */
static void connect_counted(struct kv_test_stream *stream, uint16_t to)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    int status = 0;
    while (status != 200) {
        connect_to(stream, to);
        status = ask_for_health(stream);
        if (status != 200)
            kv_test_stream_close(stream);
        assert_true(kv_test_now_ms() < until_ms);
    }
}

/* Whether a handshake with these options leads to an answer. */
static bool is_served(const struct kv_test_tls_options *options)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    bool is_served = connect_with(&stream, options);
    if (is_served) {
        kv_test_stream_put(&stream, KV_SLICE("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        is_served = kv_test_http_receive(&stream, &response) && response.status == 200;
    }
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    return is_served;
}

static int set_up(void **state)
{
    (void)state;
    folder = kv_test_folder_make();
    authority = make_certificate("authority.pem", "authority", NULL);
    free(make_certificate("server.pem", "localhost", authority));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kv_test_folder_remove(folder);
    free(folder);
    free(authority);
    return 0;
}

/* ---- handshakes ---- */

static void versions_from_1_2_on_are_served_and_others_refused(void **state)
{
    (void)state;
    start(ONE_CERTIFICATE, "");
    assert_true(is_served(&(struct kv_test_tls_options){.version = TLS1_3_VERSION}));
    assert_true(is_served(&(struct kv_test_tls_options){.version = TLS1_2_VERSION}));
    assert_false(is_served(&(struct kv_test_tls_options){.version = TLS1_1_VERSION}));
    assert_false(is_served(&(struct kv_test_tls_options){.version = TLS1_VERSION}));
    kv_test_server_stop_cleanly(&server);
}

static void ciphers_without_forward_secrecy_are_refused(void **state)
{
    (void)state;
    start(ONE_CERTIFICATE, "");
    assert_true(is_served(&(struct kv_test_tls_options){
        .version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"}));
    assert_false(is_served(
        &(struct kv_test_tls_options){.version = TLS1_2_VERSION, .ciphers = "AES128-GCM-SHA256"}));
    assert_false(is_served(&(struct kv_test_tls_options){.version = TLS1_2_VERSION,
                                                         .ciphers = "ECDHE-ECDSA-AES128-SHA"}));
    kv_test_server_stop_cleanly(&server);
}

static void only_http_1_1_is_negotiated(void **state)
{
    (void)state;
    struct kv_test_stream stream;
    start(ONE_CERTIFICATE, "");
    assert_true(
        connect_with(&stream, &(struct kv_test_tls_options){.protocols = "\x02h2\x08http/1.1"}));
    assert_string_equal(kv_test_tls_protocol(&stream), "http/1.1");
    kv_test_stream_close(&stream);
    assert_false(is_served(&(struct kv_test_tls_options){.protocols = "\x02h2"}));
    assert_true(is_served(&(struct kv_test_tls_options){0}));
    kv_test_server_stop_cleanly(&server);
}

static void certificate_is_chosen_by_name(void **state)
{
    static const struct {
        const char *name, *server;
    } cases[] = {{"localhost", "localhost"},
                 {"two.example", "two.example"},
                 {"three.example", "three.example"},
                 {"four.example", "localhost"},
                 {NULL, "localhost"}};
    (void)state;
    free(make_certificate("two.pem", "two.example", authority));
    free(make_certificate("three.pem", "three.example", authority));
    start("{cert: '@/server.pem', key: '@/server.pem', certificates: [{cert: '@/two.pem', key: "
          "'@/two.pem'}, {cert: '@/three.pem', key: '@/three.pem'}]}",
          "");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kv_test_stream stream;
        assert_true(connect_with(&stream, &(struct kv_test_tls_options){.name = cases[i].name}));
        assert_string_equal(kv_test_tls_server(&stream), cases[i].server);
        assert_int_equal(ask_for_health(&stream), 200);
        kv_test_stream_close(&stream);
    }
    assert_true(is_served(&(struct kv_test_tls_options){.ca = authority, .name = "two.example"}));
    kv_test_server_stop_cleanly(&server);
}

/* Clients of these: none, one signed by the authority, one by itself. */
static void expect_clients(const char *tls, bool anonymous, bool known, bool unknown)
{
    char *client = make_certificate("client.pem", "backend", authority);
    char *stranger = make_certificate("stranger.pem", "backend", NULL);
    start(tls, "");
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct kv_test_tls_options options = {.version = version};
        assert_int_equal(is_served(&options), anonymous);
        options.identity = client;
        assert_int_equal(is_served(&options), known);
        options.identity = stranger;
        assert_int_equal(is_served(&options), unknown);
    }
    kv_test_server_stop_cleanly(&server);
    free(client);
    free(stranger);
}

static void client_certificates_are_required_with_client_ca(void **state)
{
    (void)state;
    expect_clients("{cert: '@/server.pem', key: '@/server.pem', client_ca: '@/authority.pem'}",
                   false, true, false);
}

static void client_certificates_may_be_optional(void **state)
{
    (void)state;
    expect_clients("{cert: '@/server.pem', key: '@/server.pem', client_ca: '@/authority.pem', "
                   "client_auth: optional}",
                   true, true, false);
}

/* ---- certificates in the place of tokens ---- */

#define DIGEST_OF_BOTH "52281c6ff09b87fbfde85fcea88f45bbb51548431dd55681dfc7d26c2453bdb2"
#define TOKEN_OF_BOTH  "Authorization: Bearer both-token-1234567890\r\n"
#define ODD_HEADER     "Odd: 1\r\n"

static void start_with_names(void)
{
    start("{cert: '@/server.pem', key: '@/server.pem', client_ca: '@/authority.pem', client_auth: "
          "optional}",
          "access:\n"
          "  anonymous: {read: [public/]}\n"
          "  tokens:\n"
          "    - {name: sensor, certificate: sensor-1, write: [a/]}\n"
          "    - {name: both, certificate: backend, sha256: " DIGEST_OF_BOTH ", read: [a/]}\n");
}

/* Of a GET and a PUT of the same key, over one connection. */
static void expect_rights(const char *identity, const char *headers, int of_get, int of_put)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    char more[256];
    assert_true(connect_with(&stream, &(struct kv_test_tls_options){.identity = identity}));
    for (int i = 0; i < 4; i++) { /* by the fast path, and by libh2o */
        snprintf(more, sizeof(more), "%s%s", headers, i < 2 ? "" : ODD_HEADER);
        assert_int_equal(kv_test_http_ask(&stream, "GET", "/storage/a/x", more, NULL, &response),
                         of_get);
        assert_int_equal(
            kv_test_http_ask(&stream, "PUT", "/storage/a/x", more, "{\"value\":1}", &response),
            of_put);
    }
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void certificate_may_stand_for_a_token(void **state)
{
    char *sensor = make_certificate("sensor.pem", "sensor-1", authority);
    char *backend = make_certificate("backend.pem", "backend", authority);
    char *other = make_certificate("other.pem", "sensor-10", authority);
    (void)state;
    start_with_names();
    expect_rights(NULL, "", 401, 401);
    expect_rights(other, "", 401, 401);
    expect_rights(sensor, "", 403, 202);
    expect_rights(backend, "", 200, 403);
    expect_rights(sensor, TOKEN_OF_BOTH, 200, 403);
    expect_rights(NULL, TOKEN_OF_BOTH, 200, 403);
    expect_rights(sensor, "Authorization: Bearer wrong-token-1234567890\r\n", 401, 401);
    kv_test_server_stop_cleanly(&server);
    free(sensor);
    free(backend);
    free(other);
}

static void open_websocket(struct kv_test_ws *ws, const char *identity)
{
    *ws = (struct kv_test_ws){.mask = 1};
    assert_true(connect_with(&ws->stream, &(struct kv_test_tls_options){.identity = identity}));
    kv_test_ws_upgrade(ws);
}

#define NAMED "Origin: https://app.example.org\r\n"
#define EVIL  "Origin: https://evil.example\r\n"

static void start_with_origins(void)
{
    start("{cert: '@/server.pem', key: '@/server.pem', client_ca: '@/authority.pem'}",
          "origins: ['https://app.example.org', '*']\n"
          "access:\n"
          "  anonymous: {read: [public/]}\n"
          "  tokens:\n"
          "    - {name: both, certificate: backend, read: [a/], write: [a/]}\n");
}

/* As browsers say where a request comes from, and whether the certificate counts then. */
static const struct {
    const char *headers;
    bool counts;
} senders[] = {
    {"", true},
    {"Sec-Fetch-Site: cross-site\r\n", false},
    {"Sec-Fetch-Site: same-origin\r\n", true},
    {"Sec-Fetch-Site: same-site\r\n", false},
    {"Sec-Fetch-Site: none\r\n", true},
    {EVIL, false},
    {NAMED, true},
    {EVIL "Sec-Fetch-Site: cross-site\r\n", false},
    {NAMED "Sec-Fetch-Site: cross-site\r\n", true},
    {"Origin: https://localhost:8443\r\nSec-Fetch-Site: same-site\r\n", false},
    {NAMED EVIL, false},
    {"Origin: null\r\n", false},
};

enum {
    N_SENDERS = sizeof(senders) / sizeof(senders[0])
};

static void pages_cannot_use_a_certificate_unless_listed(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    char *backend = make_certificate("backend.pem", "backend", authority);
    (void)state;
    start_with_origins();
    assert_true(connect_with(&stream, &(struct kv_test_tls_options){.identity = backend}));
    for (size_t i = 0; i < N_SENDERS; i++) { /* over one connection */
        bool counts = senders[i].counts;
        assert_int_equal(kv_test_http_ask(&stream, "PUT", "/storage/a/x", senders[i].headers,
                                          "{\"value\":1}", &response),
                         counts ? 202 : 401);
        assert_int_equal(
            kv_test_http_ask(&stream, "GET", "/storage/a/x", senders[i].headers, NULL, &response),
            counts ? 200 : 401);
        if (!counts)
            assert_int_equal(kv_test_http_ask(&stream, "GET", "/events?prefix=a/",
                                              senders[i].headers, NULL, &response),
                             401);
    }
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    kv_test_server_stop_cleanly(&server);
    free(backend);
}

static void websockets_of_pages_cannot_use_a_certificate_either(void **state)
{
    char *backend = make_certificate("backend.pem", "backend", authority);
    (void)state;
    start_with_origins();
    for (size_t i = 0; i < N_SENDERS; i++) {
        struct kv_test_ws ws = {.mask = 1};
        struct kv_test_response response = {0};
        char headers[512];
        snprintf(headers, sizeof(headers), KV_TEST_WS_UPGRADE "%s", senders[i].headers);
        assert_true(connect_with(&ws.stream, &(struct kv_test_tls_options){.identity = backend}));
        assert_int_equal(kv_test_http_ask(&ws.stream, "GET", "/ws", headers, NULL, &response), 101);
        kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"id\":1,\"payload\":{\"key\":\"a/none\"}}");
        if (senders[i].counts)
            kv_test_ws_expect(&ws,
                              "{\"type\":\"no-value\",\"id\":1,\"payload\":{\"key\":\"a/none\"}}");
        else
            kv_test_ws_expect_error(&ws, "1");
        kv_test_ws_close(&ws);
        kv_test_response_fini(&response);
    }
    kv_test_server_stop_cleanly(&server);
    free(backend);
}

static void check_access(const char *yaml, const char *message)
{
    struct kv_test_outcome outcome;
    char *whole = kv_test_with_modules(yaml);
    kv_test_program_run_with_file("--check-config", whole, &outcome);
    assert_int_not_equal(outcome.exit_code, 0);
    kv_test_expect_part(outcome.err, message);
    kv_test_outcome_fini(&outcome);
    free(whole);
}

static void tokens_need_a_possible_proof(void **state)
{
    (void)state;
    check_access("access: {tokens: [{name: a}]}\n",
                 ":1:26: access.tokens[0]: `sha256` (of a token, as kvserver --hash-token prints "
                 "it) or `certificate` is expected");
    check_access("access: {tokens: [{name: a, certificate: a}]}\n",
                 "access.tokens[0].certificate: no address of `listen` asks clients for");
    check_access("access: {tokens: [{name: a, certificate: ''}]}\n",
                 "access.tokens[0].certificate: the name that the client's certificate has");
    check_access("access: {tokens: [{name: a, certificate: x}, {name: b, certificate: x}]}\n",
                 "access.tokens[1].certificate: it is that of tokens[0]");
}

static void removal_of_a_certificates_name_ends_websockets(void **state)
{
    struct kv_test_ws ws;
    char *backend = make_certificate("backend.pem", "backend", authority);
    (void)state;
    start_with_names();
    open_websocket(&ws, backend);
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"a/none\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"a/none\"}}");
    char *before = kv_test_program_read(&server.program, "kvserver.yaml");
    struct kv_buffer after = {0};
    const char *name = strstr(before, "backend");
    assert_non_null(name);
    kv_buffer_printf(&after, "%.*sbygones%s", (int)(name - before), before,
                     name + strlen("backend"));
    kv_buffer_append_char(&after, '\0');
    kv_test_file_put(server.program.folder, "kvserver.yaml", after.bytes);
    assert_int_equal(kill(server.program.pid, SIGHUP), 0);
    kv_test_ws_expect_closed(&ws, 3000);
    kv_test_ws_close(&ws);
    kv_test_server_stop_cleanly(&server);
    kv_buffer_fini(&after);
    free(before);
    free(backend);
}

static int get_over(struct kv_test_stream *stream, const char *more)
{
    struct kv_test_response response = {0};
    int status = kv_test_http_ask(stream, "GET", "/storage/a/none", more, NULL, &response);
    kv_test_response_fini(&response);
    return status;
}

static void access_ends_with_the_certificate(void **state)
{
    struct kv_test_ws ws;
    struct kv_test_stream stream, resumed, again;
    char *backend = kv_test_path(folder, "short.pem");
    (void)state;
    start_with_names();
    kv_test_certificate_write_for(backend, "backend", authority, SHORT_S);
    open_websocket(&ws, backend);
    assert_true(connect_with(&stream, &(struct kv_test_tls_options){.identity = backend}));
    assert_int_equal(get_over(&stream, ""), 204);
    SSL_SESSION *session = kv_test_tls_session(&stream);
    assert_true(connect_with(&resumed, &(struct kv_test_tls_options){.session = session}));
    assert_true(kv_test_tls_is_resumed(&resumed));
    assert_int_equal(get_over(&resumed, ""), 204);
    kv_test_ws_expect_closed(&ws, 3000);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(get_over(&stream, i == 0 ? "" : ODD_HEADER), 401);
        assert_int_equal(get_over(&resumed, i == 0 ? "" : ODD_HEADER), 401);
    }
    assert_false(is_served(&(struct kv_test_tls_options){.identity = backend}));
    assert_true(connect_with(&again, &(struct kv_test_tls_options){.session = session}));
    assert_false(kv_test_tls_is_resumed(&again));
    kv_test_stream_close(&stream);
    kv_test_stream_close(&resumed);
    kv_test_stream_close(&again);
    kv_test_ws_close(&ws);
    SSL_SESSION_free(session);
    kv_test_server_stop_cleanly(&server);
    free(backend);
}

static void sessions_are_resumed_until_the_certificates_are_read_again(void **state)
{
    (void)state;
    struct kv_test_stream stream;
    start(ONE_CERTIFICATE, "");
    connect_anyhow(&stream);
    assert_int_equal(ask_for_health(&stream), 200);
    SSL_SESSION *session = kv_test_tls_session(&stream);
    kv_test_stream_close(&stream);
    assert_true(connect_with(&stream, &(struct kv_test_tls_options){.session = session}));
    assert_true(kv_test_tls_is_resumed(&stream));
    kv_test_stream_close(&stream);
    kill(server.program.pid, SIGHUP);
    kv_test_await_log(&server, "the certificates have been read again");
    assert_true(connect_with(&stream, &(struct kv_test_tls_options){.session = session}));
    assert_false(kv_test_tls_is_resumed(&stream));
    assert_int_equal(ask_for_health(&stream), 200);
    kv_test_stream_close(&stream);
    SSL_SESSION_free(session);
    kv_test_server_stop_cleanly(&server);
}

static void key_updates_may_be_requested_repeatedly(void **state)
{
    (void)state;
    struct kv_test_stream stream;
    start(ONE_CERTIFICATE, "");
    assert_true(connect_with(&stream, &(struct kv_test_tls_options){.version = TLS1_3_VERSION}));
    for (int i = 0; i < 50; i++) {
        kv_test_tls_update_keys(&stream);
        assert_int_equal(ask_for_health(&stream), 200);
    }
    kv_test_stream_close(&stream);
    kv_test_server_stop_cleanly(&server);
}

/* ---- clients that speak something else, or nothing ---- */

static void unencrypted_request_is_400_unencrypted(void **state)
{
    (void)state;
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    start(ONE_CERTIFICATE, "");
    kv_test_stream_open_clear(&stream, port);
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/storage/a", NULL, NULL, &response), 400);
    kv_test_expect_part(response.body.bytes, "https://");
    kv_test_stream_await_end(&stream);
    kv_test_stream_close(&stream);
    kv_test_response_fini(&response);
    kv_test_server_stop_cleanly(&server);
}

static void expect_end_without_clear_text(struct kv_slice bytes)
{
    struct kv_test_stream stream;
    kv_test_stream_open_clear(&stream, port);
    kv_test_stream_put(&stream, bytes);
    kv_test_stream_await_end(&stream);
    struct kv_slice came = kv_test_stream_unread(&stream);
    assert_true(kv_test_tap_is_tls(came));
    kv_test_stream_close(&stream);
}

static void invalid_handshake_closes_the_connection(void **state)
{
    (void)state;
    start(ONE_CERTIFICATE, "");
    expect_end_without_clear_text(KV_SLICE("\0\1\2\3\4\5\6\7"));
    expect_end_without_clear_text(KV_SLICE("\x16\x03\x01\x00\x05hello"));
    expect_end_without_clear_text(KV_SLICE("\x16\x03\x01\xff\xff\x01\xff\xff\xff"));
    expect_end_without_clear_text(KV_SLICE("get / HTTP/1.1\r\n\r\n"));
    assert_true(is_served(&(struct kv_test_tls_options){0}));
    kv_test_server_stop_cleanly(&server);
}

static void stalled_handshake_is_ended(void **state)
{
    (void)state;
    struct kv_test_stream silent, halting;
    start(ONE_CERTIFICATE, "timeouts: {request_progress: 300ms}\n");
    int64_t since_ms = kv_test_now_ms();
    kv_test_stream_open_clear(&silent, port);
    kv_test_stream_open_clear(&halting, port);
    kv_test_stream_put(&halting, KV_SLICE("\x16\x03\x01\x02\x00\x01\x00"));
    kv_test_stream_await_end(&silent);
    kv_test_stream_await_end(&halting);
    assert_true(kv_test_now_ms() - since_ms >= 300);
    kv_test_stream_close(&silent);
    kv_test_stream_close(&halting);
    kv_test_server_stop_cleanly(&server);
}

static void expect_503_beyond(const char *limits)
{
    struct kv_test_stream one, two, over;
    start(ONE_CERTIFICATE, limits);
    connect_counted(&one, port);
    connect_counted(&two, port);
    connect_anyhow(&over);
    assert_int_equal(ask_for_health(&over), 503);
    kv_test_stream_await_end(&over);
    assert_true(kv_test_tls_has_closed(&over));
    kv_test_stream_close(&over);
    kv_test_stream_close(&one);
    kv_test_stream_close(&two);
    kv_test_server_stop_cleanly(&server);
}

static void connection_beyond_the_limit_is_503_over_tls(void **state)
{
    (void)state;
    expect_503_beyond("limits: {connections: 2}\n");
}

static void connection_beyond_the_limit_of_its_address_is_503_over_tls(void **state)
{
    (void)state;
    expect_503_beyond("limits: {connections_per_address: 2}\n");
}

/* Takes what has come, and sends what the library has to say. */
static void exchange(SSL *ssl, struct kv_test_stream *stream)
{
    char *said;
    struct kv_slice came = kv_test_stream_unread(stream);
    BIO_write(SSL_get_rbio(ssl), came.bytes, (int)came.len);
    kv_test_stream_use(stream, came.len);
    long len = BIO_get_mem_data(SSL_get_wbio(ssl), &said);
    kv_test_stream_put(stream, (struct kv_slice){said, (size_t)len});
    (void)BIO_reset(SSL_get_wbio(ssl));
    kv_test_stream_flush(stream);
}

/* Shakes hands, but keeps the last message back, and the text behind it. */
static SSL *shake_hands_but_for_the_end(struct kv_test_stream *stream, SSL_CTX *context,
                                        struct kv_slice text)
{
    SSL *ssl = SSL_new(context);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    while (SSL_connect(ssl) != 1) {
        exchange(ssl, stream);
        kv_test_stream_wait(stream);
        exchange(ssl, stream);
    }
    assert_int_equal(SSL_write(ssl, text.bytes, (int)text.len), text.len);
    return ssl;
}

static void reset(struct kv_test_stream *stream)
{
    const struct linger at_once = {.l_onoff = 1};
    setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    kv_test_stream_close(stream);
}

/* The server cannot send its end of the handshake, and then has an answer to write while it reads
 * no more, as the second request is not for the fast path. */
static void reset_after_the_handshake_ends_the_connection(void **state)
{
    (void)state;
    struct kv_test_stream stream;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    start(ONE_CERTIFICATE, "limits: {connections: 4}\n");
    for (int i = 0; i < 4; i++) {
        kv_test_stream_open_clear(&stream, port);
        SSL *ssl = shake_hands_but_for_the_end(
            &stream, context,
            KV_SLICE("GET /storage/a HTTP/1.1\r\nHost: localhost\r\n\r\n"
                     "GET /storage/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
        kv_test_program_stop(&server.program);
        exchange(ssl, &stream);
        reset(&stream);
        kv_test_program_go_on(&server.program);
        SSL_free(ssl);
    }
    SSL_CTX_free(context);
    connect_counted(&stream, port);
    kv_test_stream_close(&stream);
    kv_test_server_stop_cleanly(&server);
}

static void end_is_announced(void **state)
{
    (void)state;
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    start(ONE_CERTIFICATE, "");
    connect_anyhow(&stream);
    kv_test_http_ask(&stream, "GET", "/healthz", "Connection: close\r\n", NULL, &response);
    kv_test_stream_await_end(&stream);
    assert_true(kv_test_tls_has_closed(&stream));
    kv_test_stream_close(&stream);
    kv_test_response_fini(&response);
    kv_test_server_stop_cleanly(&server);
}

/* ---- the wire ---- */

#define MARK "never-in-clear"

static void ask_by(struct kv_test_tap *tap, struct kv_slice request, int status)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    if (status == 503)
        connect_to(&stream, tap->port);
    else
        connect_counted(&stream, tap->port);
    kv_test_stream_put(&stream, request);
    if (status != 0) {
        assert_true(kv_test_http_receive(&stream, &response));
        assert_int_equal(response.status, status);
    }
    kv_test_stream_await_end(&stream);
    kv_test_stream_close(&stream);
    kv_test_response_fini(&response);
}

static void nothing_is_unencrypted_on_any_path(void **state)
{
    (void)state;
    struct kv_test_tap tap;
    struct kv_test_ws ws = {0};
    start(ONE_CERTIFICATE, "limits: {connections: 2, value: 1KiB}\n"
                           "timeouts: {request_progress: 2s, idle: 2s}\n");
    kv_test_tap_open(&tap, port);
    ask_by(&tap,
           KV_SLICE("GET /storage/" MARK " HTTP/1.1\r\nHost: localhost\r\n"
                    "Connection: close\r\n\r\n"),
           204);
    ask_by(&tap, KV_SLICE("GET  bad\r\n\r\n"), 400);
    ask_by(&tap,
           KV_SLICE("PUT /storage/" MARK " HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Length: 99999999\r\n\r\n{"),
           413);
    ask_by(&tap,
           KV_SLICE("PUT /storage/" MARK " HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Length: 99\r\n\r\n{"),
           408);
    ask_by(&tap, KV_SLICE(""), 0); /* it is idle */
    ask_by(&tap,
           KV_SLICE("GET /admin/backup HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
           200);
    ask_by(&tap,
           KV_SLICE("PUT /admin/restore?offset=0 HTTP/1.1\r\nHost: localhost\r\n"
                    "Connection: close\r\nContent-Length: 1\r\n\r\nx"),
           409); /* the store is volatile */
    connect_counted(&ws.stream, tap.port);
    kv_test_ws_upgrade(&ws);
    kv_test_ws_send(&ws, KV_SLICE("{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"" MARK
                                  "\",\"value\":\"" MARK "\"}}"));
    kv_test_ws_expect_ok(&ws, "1", "\"" MARK "\"");
    struct kv_test_ws other = {0}; /* which may be idle for as long as it takes */
    connect_counted(&other.stream, port);
    kv_test_ws_upgrade(&other);
    ask_by(&tap, KV_SLICE("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 503);
    kv_test_ws_close(&other);
    kv_test_server_terminate(&server);
    kv_test_ws_expect_closed(&ws, 1001);
    kv_test_ws_close(&ws);
    kv_test_server_stop_cleanly(&server);
    kv_test_tap_expect_tls(&tap);
    kv_test_tap_close(&tap);
}

/* ---- certificates that change ---- */

static const char *shown(void)
{
    static char name[64];
    struct kv_test_stream stream;
    connect_anyhow(&stream);
    snprintf(name, sizeof(name), "%s", kv_test_tls_server(&stream));
    kv_test_stream_close(&stream);
    return name;
}

static void changed_files_take_effect_and_broken_ones_change_nothing(void **state)
{
    (void)state;
    free(make_certificate("server.pem", "before", authority));
    start(ONE_CERTIFICATE, "");
    assert_string_equal(shown(), "before");
    free(make_certificate("server.pem", "after", authority));
    kv_test_await_log(&server, "the certificates have been read again");
    assert_string_equal(shown(), "after");
    kv_test_file_put(folder, "server.pem", "nothing\n");
    kv_test_await_log(&server, "keeping the certificates that were read before");
    assert_string_equal(shown(), "after");
    free(make_certificate("server.pem", "localhost", authority));
    kv_test_server_stop_cleanly(&server);
}

/* ---- the configuration ---- */

static void put_encrypted_key(const char *file)
{
    char *path = kv_test_path(folder, file);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    assert_int_equal(PEM_write_PrivateKey(out, key, EVP_aes_128_cbc(),
                                          (const unsigned char *)"secret", 6, NULL, NULL),
                     1);
    fclose(out);
    EVP_PKEY_free(key);
    free(path);
}

/* tls: with `@` as above. */
static void expect_fault(const char *tls, const char *fault)
{
    struct kv_buffer yaml = {0};
    struct kv_test_outcome outcome;
    kv_buffer_printf(&yaml, "listen:\n- port: 0\n  tls: ");
    for (; *tls != '\0'; tls++)
        if (*tls == '@')
            kv_buffer_append(&yaml, kv_slice_of(folder));
        else
            kv_buffer_append_char(&yaml, *tls);
    kv_buffer_printf(&yaml, "\nmodules: %s\n", getenv("KV_TEST_MODULES"));
    kv_buffer_append_char(&yaml, '\0');
    kv_test_program_run_with_file("--check-config", yaml.bytes, &outcome);
    kv_test_expect_part(outcome.err, fault);
    assert_int_equal(outcome.exit_code, MISCONFIGURED);
    kv_test_outcome_fini(&outcome);
    kv_buffer_fini(&yaml);
}

static void faults_are_reported_with_file_and_place(void **state)
{
    (void)state;
    free(make_certificate("other.pem", "other", NULL));
    put_encrypted_key("encrypted.pem");
    kv_test_file_put(folder, "empty.pem", "");
    expect_fault("{key: '@/other.pem', cert: '@/server.pem'}", ":3:14: listen[0].tls.key: ");
    expect_fault("{cert: '@/server.pem', key: '@/other.pem'}",
                 "other.pem: it is not the key of the certificate");
    expect_fault("{cert: '@/server.pem', key: '@/encrypted.pem'}", "it is encrypted");
    expect_fault("{cert: '@/empty.pem', key: '@/server.pem'}", "it has no certificate");
    expect_fault("{cert: '@/server.pem', key: '@/empty.pem'}", "it has no private key");
    expect_fault("{cert: '@/missing.pem', key: '@/server.pem'}", "listen[0].tls.cert");
    expect_fault("{cert: '@/server.pem'}", "listen[0].tls.key: the file");
    expect_fault("{}", "listen[0].tls: a certificate is expected");
    expect_fault("{cert: '@/server.pem', key: '@/server.pem', client_ca: '@/empty.pem'}",
                 "listen[0].tls.client_ca: ");
    expect_fault("{cert: '@/server.pem', key: '@/server.pem', client_auth: optional}",
                 "listen[0].tls.client_auth: it needs client_ca");
    expect_fault("{certificates: [{cert: '@/server.pem', key: '@/server.pem'}, {cert: "
                 "'@/server.pem', key: '@/other.pem'}]}",
                 "listen[0].tls.certificates[1].key: ");
}

static void soon_expiring_certificate_causes_a_warning(void **state)
{
    (void)state;
    char *path = kv_test_path(folder, "soon.pem");
    kv_test_certificate_write(path, "localhost", authority, 3);
    start("{cert: '@/soon.pem', key: '@/soon.pem'}", "");
    kv_test_await_log(&server, "soon.pem: the certificate expires on ");
    kv_test_certificate_write(path, "localhost", authority, -1);
    kv_test_await_log(&server, "soon.pem: the certificate expired on ");
    kv_test_server_stop_cleanly(&server);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_from_1_2_on_are_served_and_others_refused),
        cmocka_unit_test(ciphers_without_forward_secrecy_are_refused),
        cmocka_unit_test(only_http_1_1_is_negotiated),
        cmocka_unit_test(certificate_is_chosen_by_name),
        cmocka_unit_test(client_certificates_are_required_with_client_ca),
        cmocka_unit_test(client_certificates_may_be_optional),
        cmocka_unit_test(certificate_may_stand_for_a_token),
        cmocka_unit_test(pages_cannot_use_a_certificate_unless_listed),
        cmocka_unit_test(websockets_of_pages_cannot_use_a_certificate_either),
        cmocka_unit_test(tokens_need_a_possible_proof),
        cmocka_unit_test(removal_of_a_certificates_name_ends_websockets),
        cmocka_unit_test(access_ends_with_the_certificate),
        cmocka_unit_test(sessions_are_resumed_until_the_certificates_are_read_again),
        cmocka_unit_test(key_updates_may_be_requested_repeatedly),
        cmocka_unit_test(unencrypted_request_is_400_unencrypted),
        cmocka_unit_test(invalid_handshake_closes_the_connection),
        cmocka_unit_test(stalled_handshake_is_ended),
        cmocka_unit_test(connection_beyond_the_limit_is_503_over_tls),
        cmocka_unit_test(connection_beyond_the_limit_of_its_address_is_503_over_tls),
        cmocka_unit_test(reset_after_the_handshake_ends_the_connection),
        cmocka_unit_test(end_is_announced),
        cmocka_unit_test(nothing_is_unencrypted_on_any_path),
        cmocka_unit_test(changed_files_take_effect_and_broken_ones_change_nothing),
        cmocka_unit_test(faults_are_reported_with_file_and_place),
        cmocka_unit_test(soon_expiring_certificate_causes_a_warning),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
