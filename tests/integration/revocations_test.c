/*
 * Tokens that are revoked by keys of the store: at once for connected clients, as long as the key
 * exists, and across restarts.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "fixture.h"
#include "support/client/folder.h"
#include "support/jwt/signer.h"

#define ISSUER "https://id.example.org"
#define SECRET "0123456789abcdef0123456789abcdef"
#define KEY    "/storage/user/ann/x"

#define EVERY   "every-token-1234567890"
#define REVOKER "both-token-1234567890"

static struct kv_test_server server;
static struct kv_test_signer *signer;
static char *folder; /* of the store */
static struct kv_test_response response;

/* ---- the server ---- */

/* ThreadSanitizer has little room for a map. */
static const char *more_options(const char *store)
{
    return store != NULL && strcmp(store, "lmdb") == 0 ? ", map_size: 16GiB" : "";
}

static void start(void)
{
    struct kv_buffer yaml = {0};
    const char *store = getenv("KV_TEST_STORE");
    kv_buffer_printf(&yaml,
                     "listen: [{host: 127.0.0.1, port: %%port}]\nthreads: 2\nmodules: %s\n"
                     "storage: {module: %s, %s: {path: '%s/store'%s}}\n"
                     "access:\n"
                     "  revoked: auth/revoked/\n"
                     "  tokens:\n"
                     "    - {name: every, read: [''], write: [''], sha256: "
                     "105b1190953880ed6984b47621dbbd65799e2c07646d4e4327dd7bf205b414c4}\n"
                     "    - {name: revoker, read: [auth/], write: ['', auth/revoked/], sha256: "
                     "52281c6ff09b87fbfde85fcea88f45bbb51548431dd55681dfc7d26c2453bdb2}\n"
                     "  jwt:\n"
                     "    - {issuer: '" ISSUER "', secret: '" SECRET
                     "', grants: {read: ['user/{sub}/'], write: "
                     "['', 'auth/revoked/sub/{sub}/']}}\n",
                     getenv("KV_TEST_MODULES"), store, store, folder, more_options(store));
    kv_buffer_append_char(&yaml, '\0');
    kv_test_server_start(&server, yaml.bytes);
    kv_buffer_fini(&yaml);
}

static int set_up(void **state)
{
    (void)state;
    signer = kv_test_signer_with_secret(SECRET);
    folder = kv_test_folder_make();
    start();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kv_test_server_stop_cleanly(&server);
    kv_test_folder_remove(folder);
    free(folder);
    kv_test_signer_destroy(signer);
    kv_test_response_fini(&response);
    response = (struct kv_test_response){0};
    return 0;
}

/* ---- asking ---- */

/* Owns: the caller. */
static char *make_token(const char *subject, const char *id)
{
    char claims[256];
    snprintf(claims, sizeof(claims),
             "{\"iss\":\"" ISSUER "\",\"sub\":\"%s\",\"jti\":\"%s\",\"exp\":%lld}", subject, id,
             (long long)time(NULL) + 3600);
    return kv_test_sign(signer, claims);
}

static int ask_over(struct kv_test_stream *stream, const char *token, const char *method,
                    const char *path, const char *body)
{
    char headers[2048];
    snprintf(headers, sizeof(headers), "Authorization: Bearer %s\r\n", token);
    int status = kv_test_http_ask(stream, method, path, headers, body, &response);
    kv_buffer_append_char(&response.body, '\0');
    return status;
}

static int ask(const char *token, const char *method, const char *path, const char *body)
{
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, server.port);
    int status = ask_over(&stream, token, method, path, body);
    kv_test_stream_close(&stream);
    return status;
}

static void await_answer(const char *token, const char *path, int status)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    int answer = ask(token, "GET", path, NULL);
    while (answer != status && kv_test_now_ms() < until_ms)
        answer = ask(token, "GET", path, NULL);
    assert_int_equal(answer, status);
}

static void await(const char *token, int status)
{
    await_answer(token, KEY, status);
}

static void await_over(struct kv_test_stream *stream, const char *token, int status)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    while (ask_over(stream, token, "GET", KEY, NULL) != status)
        assert_true(kv_test_now_ms() < until_ms);
}

static void open_websocket(struct kv_test_ws *ws, const char *token)
{
    char headers[2048];
    snprintf(headers, sizeof(headers), "Authorization: Bearer %s\r\n", token);
    kv_test_ws_open_with(ws, server.port, headers);
    kv_test_ws_send_text(ws, "{\"type\":\"get\",\"payload\":{\"key\":\"user/ann/x\"}}");
    kv_test_ws_expect(ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"user/ann/x\"}}");
}

static void open_events(struct kv_test_stream *stream, const char *token)
{
    char headers[2048];
    struct kv_buffer request = {0};
    snprintf(headers, sizeof(headers), "Authorization: Bearer %s\r\n", token);
    kv_test_stream_open(stream, server.port);
    kv_test_http_write(&request, "GET", KV_SLICE("/events?prefix=user/ann/"), headers,
                       (struct kv_slice){0});
    kv_test_stream_put(stream, kv_buffer_slice(&request));
    kv_test_stream_flush(stream);
    assert_true(kv_test_stream_await(stream, 20));
    kv_buffer_fini(&request);
}

/* ---- tests ---- */

static void revocation_closes_open_connections(void **state)
{
    struct kv_test_ws ended, kept;
    struct kv_test_stream events, held;
    char *token = make_token("ann", "1"), *other = make_token("ann", "2");
    (void)state;
    open_websocket(&ended, token);
    open_websocket(&kept, other);
    open_events(&events, token);
    kv_test_stream_open(&held, server.port);
    assert_int_equal(ask_over(&held, token, "GET", KEY, NULL), 204);
    assert_int_equal(ask(REVOKER, "PUT", "/storage/auth/revoked/jti/1", "{\"value\":1}"), 202);
    kv_test_ws_expect_closed(&ended, 3000);
    kv_test_stream_await_end(&events);
    struct kv_slice sent = kv_test_stream_unread(&events);
    assert_non_null(memmem(sent.bytes, sent.len, "event: unauthorized\n", 20));
    await(token, 401);
    await_over(&held, token, 401); /* its loop may take it up later */
    kv_test_expect_part(response.body.bytes, "the token has been revoked");
    kv_test_ws_send_text(&kept, "{\"type\":\"get\",\"payload\":{\"key\":\"user/ann/x\"}}");
    kv_test_ws_expect(&kept, "{\"type\":\"no-value\",\"payload\":{\"key\":\"user/ann/x\"}}");
    kv_test_ws_close(&ended);
    kv_test_ws_close(&kept);
    kv_test_stream_close(&events);
    kv_test_stream_close(&held);
    free(token);
    free(other);
}

static void a_revocation_lasts_as_long_as_its_key_exists(void **state)
{
    char *token = make_token("ann", "1");
    (void)state;
    assert_int_equal(ask(REVOKER, "PUT", "/storage/auth/revoked/jti/1", "{\"value\":1}"), 202);
    await(token, 401);
    assert_int_equal(ask(REVOKER, "DELETE", "/storage/auth/revoked/jti/1", NULL), 200);
    await(token, 204);
    assert_int_equal(
        ask(REVOKER, "PUT", "/storage/auth/revoked/jti/1", "{\"value\":1,\"ttl\":\"300ms\"}"), 202);
    await_answer(EVERY, "/storage/auth/revoked/jti/1", 204); /* it has expired */
    await(token, 204); /* that it was revoked meanwhile was not sure to be seen */
    free(token);
}

static void a_subject_is_revoked_with_its_issuer(void **state)
{
    char *ann = make_token("ann", "1"), *later = make_token("ann", "2"),
         *bo = make_token("bo", "3");
    (void)state;
    assert_int_equal(ask(REVOKER, "PUT", "/storage/auth/revoked/sub/another/ann", "{\"value\":1}"),
                     202);
    assert_int_equal(
        ask(REVOKER, "PUT", "/storage/auth/revoked/sub/" ISSUER "/ann", "{\"value\":1}"), 202);
    await(ann, 401);
    await(later, 401);
    assert_int_equal(ask(bo, "GET", "/storage/user/bo/x", NULL), 204);
    free(ann);
    free(later);
    free(bo);
}

static void revoking_needs_a_grant_that_names_the_prefix(void **state)
{
    char *token = make_token("ann", "1");
    const char *const others[] = {EVERY, token};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ask(others[i], "PUT", "/storage/auth/revoked/jti/1", "{\"value\":1}"),
                         403);
        kv_test_expect_part(response.body.bytes, "a grant that names their prefix");
        assert_int_equal(ask(others[i], "PUT", "/storage/auth/x", "{\"value\":1}"), 202);
        assert_int_equal(ask(others[i], "POST", "/batch",
                             "[{\"type\":\"set\",\"payload\":{\"key\":\"auth/revoked/jti/1\","
                             "\"value\":1}}]"),
                         200);
        kv_test_expect_part(response.body.bytes, "a grant that names their prefix");
    }
    assert_int_equal(ask(token, "GET", KEY, NULL), 204);
    free(token);
}

/* Every kind of write, at the edges of the prefix. */
static void writes_beside_the_prefix_need_no_such_grant(void **state)
{
    static const struct {
        const char *method, *body, *message;
    } writes[] = {
        {"PUT", "{\"value\":1}",
         "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"%s\",\"value\":1}}"},
        {"POST", "{\"value\":1,\"ttl\":\"1h\"}", NULL},
        {"PATCH", "{\"increment\":1}",
         "{\"type\":\"increment\",\"id\":1,\"payload\":{\"key\":\"%s\"}}"},
        {"PATCH", "{\"ttl\":0}",
         "{\"type\":\"touch\",\"id\":1,\"payload\":{\"key\":\"%s\",\"ttl\":0}}"},
        {"DELETE", NULL, "{\"type\":\"delete\",\"id\":1,\"payload\":{\"key\":\"%s\"}}"},
    };
    static const struct {
        const char *key;
        bool is_within;
    } edges[] = {{"auth/revoked", false},  {"auth/revoked/", true},   {"auth/revoked/x", true},
                 {"auth/revoked//", true}, {"auth/revoked0", false},  {"auth/revoke", false},
                 {"auth/revoked.", false}, {"Auth/revoked/x", false}, {"auth//revoked/x", false}};
    static const char *const tokens[] = {EVERY, REVOKER};
    struct kv_test_ws ws;
    struct kv_test_frame frame;
    char path[64], text[256];
    (void)state;
    for (size_t t = 0; t < 2; t++) {
        snprintf(text, sizeof(text), "Authorization: Bearer %s\r\n", tokens[t]);
        kv_test_ws_open_with(&ws, server.port, text);
        for (size_t e = 0; e < sizeof(edges) / sizeof(edges[0]); e++)
            for (size_t w = 0; w < sizeof(writes) / sizeof(writes[0]); w++) {
                bool is_patch = strcmp(writes[w].method, "PATCH") == 0;
                bool may_read = t == 0 || strncmp(edges[e].key, "auth/", 5) == 0;
                bool is_allowed = (t == 1 || !edges[e].is_within) && (may_read || !is_patch);
                snprintf(path, sizeof(path), "/storage/%s", edges[e].key);
                int status = ask(tokens[t], writes[w].method, path, writes[w].body);
                if ((status == 403) == is_allowed)
                    fail_msg("%s of %s by %s: %d", writes[w].method, edges[e].key, tokens[t],
                             status);
                if (writes[w].message == NULL)
                    continue;
                const char *at = strstr(writes[w].message, "%s");
                snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - writes[w].message),
                         writes[w].message, edges[e].key, at + 2);
                kv_test_ws_send(&ws, kv_slice_of(text));
                assert_true(kv_test_ws_receive(&ws, &frame));
                bool is_denied =
                    memmem(frame.payload.bytes, frame.payload.len, "granted for", 11) != NULL ||
                    memmem(frame.payload.bytes, frame.payload.len, "names their prefix", 18) !=
                        NULL;
                if (is_denied == is_allowed)
                    fail_msg("%s by %s: %.*s", text, tokens[t], (int)frame.payload.len,
                             frame.payload.bytes);
            }
        kv_test_ws_close(&ws);
    }
}

static void a_restart_forgets_nothing(void **state)
{
    char *token = make_token("ann", "1"), *other = make_token("ann", "2");
    char path[64];
    (void)state;
    for (int i = 10; i < 40; i++) {
        snprintf(path, sizeof(path), "/storage/auth/revoked/jti/%d", i);
        assert_int_equal(ask(REVOKER, "PUT", path, "{\"value\":1}"), 202);
    }
    assert_int_equal(ask(REVOKER, "PUT", "/storage/auth/revoked/jti/1", "{\"value\":1}"), 202);
    kv_test_server_stop_cleanly(&server);
    start();
    assert_int_equal(ask(token, "GET", KEY, NULL), 401); /* at once */
    assert_int_equal(ask(other, "GET", KEY, NULL), 204);
    assert_int_equal(ask(REVOKER, "DELETE", "/storage/auth/revoked/jti/1", NULL), 200);
    await(token, 204);
    free(token);
    free(other);
}

/* In the server's file. */
static void replace(const char *from, const char *to)
{
    char *text = kv_test_program_read(&server.program, "kvserver.yaml");
    struct kv_buffer changed = {0};
    const char *at = strstr(text, from);
    assert_non_null(at);
    kv_buffer_printf(&changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    kv_buffer_append_char(&changed, '\0');
    kv_test_file_put(server.program.folder, "kvserver.yaml", changed.bytes);
    kv_buffer_fini(&changed);
    free(text);
}

static void reload(void)
{
    assert_int_equal(kill(server.program.pid, SIGHUP), 0);
}

/* On all loops: each takes the change up by itself. */
static void await_that_every_token_reads_nothing(void)
{
    for (int i = 0; i < 16; i++)
        await_answer(EVERY, KEY, 403);
}

static void old_prefix_applies_until_the_restart(void **state)
{
    char *token = make_token("ann", "1");
    (void)state;
    replace("revoked: auth/revoked/", "revoked: auth/revokes/");
    replace("name: every, read: ['']", "name: every, read: [  ]");
    reload();
    kv_test_await_log(&server, "access.revoked changed from auth/revoked/ to auth/revokes/");
    await_that_every_token_reads_nothing();
    assert_int_equal(ask(EVERY, "PUT", "/storage/auth/revoked/jti/2", "{\"value\":1}"), 403);
    assert_int_equal(ask(token, "PUT", "/storage/auth/revoked/sub/ann/x", "{\"value\":1}"), 202);
    assert_int_equal(ask(REVOKER, "PUT", "/storage/auth/revoked/jti/1", "{\"value\":1}"), 202);
    await(token, 401);
    free(token);
}

static void a_lease_ends_with_the_grant_to_revoke(void **state)
{
    struct kv_test_ws ws;
    (void)state;
    kv_test_ws_open_with(&ws, server.port, "Authorization: Bearer " REVOKER "\r\n");
    kv_test_ws_send_text(&ws, "{\"type\":\"set\",\"payload\":{\"key\":\"auth/revoked/jti/1\","
                              "\"value\":1,\"ttl\":\"1h\",\"while_connected\":true}}");
    await_answer(EVERY, "/storage/auth/revoked/jti/1", 200);
    replace("write: ['', auth/revoked/]", "write: ['', auth/revokes/]");
    reload();
    await_answer(EVERY, "/storage/auth/revoked/jti/1", 204);
    kv_test_ws_close(&ws);
}

/* Keys that end, one every 30 ms, have the server look at all connections again and again. */
static void signals_do_not_wait_for_the_end_of_revocations(void **state)
{
    enum {
        KEYS = 400,
        STEP_MS = 30
    };
    struct kv_test_stream stream;
    char path[64], body[64];
    (void)state;
    kv_test_stream_open(&stream, server.port);
    for (int i = 0; i < KEYS; i++) {
        snprintf(path, sizeof(path), "/storage/auth/revoked/jti/%d", i);
        snprintf(body, sizeof(body), "{\"value\":1,\"ttl\":\"%dms\"}", 1000 + i * STEP_MS);
        assert_int_equal(ask_over(&stream, REVOKER, "PUT", path, body), 202);
    }
    kv_test_stream_close(&stream);
    await_answer(REVOKER, "/storage/auth/revoked/jti/9", 204);
    int64_t began_ms = kv_test_now_ms();
    kv_test_server_terminate(&server);
    kv_test_await_log(&server, "received SIGTERM");
    assert_true(kv_test_now_ms() - began_ms < KEYS * STEP_MS / 2);
}

/* It has been read by then, or has expired before. */
static void a_revocation_may_end_while_the_server_starts(void **state)
{
    char *token = make_token("ann", "1");
    (void)state;
    assert_int_equal(
        ask(REVOKER, "PUT", "/storage/auth/revoked/jti/1", "{\"value\":1,\"ttl\":\"1s\"}"), 202);
    kv_test_server_stop_cleanly(&server);
    start();
    await(token, 204);
    free(token);
}

static void check(const char *yaml, const char *message)
{
    struct kv_test_outcome outcome;
    char *whole = kv_test_with_modules(yaml);
    kv_test_program_run_with_file("--check-config", whole, &outcome);
    assert_int_not_equal(outcome.exit_code, 0);
    kv_test_expect_part(outcome.err, message);
    kv_test_outcome_fini(&outcome);
    free(whole);
}

static void a_volatile_store_is_refused(void **state)
{
    (void)state;
    check("access: {revoked: auth/revoked/}\nstorage: {module: memory}\n",
          ":1:19: access.revoked: the store memory is not durable");
    check("access: {revoked: auth/revoked}\n", "access.revoked: a prefix that ends in a /");
    check("access: {revoked: /}\n", "access.revoked: a prefix that ends in a /");
}

static void a_recheck_is_possible_without_revocations(void **state)
{
    struct kv_test_server plain;
    struct kv_test_ws ws;
    (void)state;
    kv_test_start(&plain, "");
    kv_test_ws_open(&ws, plain.port);
    assert_int_equal(kill(plain.program.pid, SIGRTMIN), 0);
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
    kv_test_server_stop_cleanly(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(revocation_closes_open_connections, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_revocation_lasts_as_long_as_its_key_exists, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_subject_is_revoked_with_its_issuer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writes_beside_the_prefix_need_no_such_grant, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(revoking_needs_a_grant_that_names_the_prefix, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_restart_forgets_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_prefix_applies_until_the_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lease_ends_with_the_grant_to_revoke, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signals_do_not_wait_for_the_end_of_revocations, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_revocation_may_end_while_the_server_starts, set_up,
                                        tear_down),
        cmocka_unit_test(a_volatile_store_is_refused),
        cmocka_unit_test(a_recheck_is_possible_without_revocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
