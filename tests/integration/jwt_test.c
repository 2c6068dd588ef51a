/*
 * JSON Web Tokens: which are accepted, what they grant, and the sources of the keys that verify
 * them.
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
#include "support/jwt/https.h"
#include "support/jwt/signer.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

#define ISSUER "https://id.example.org"
#define SECRET "0123456789abcdef0123456789abcdef"
#define GRANTS "grants: {read: [public/, 'user/{sub}/'], write: ['user/{sub}/']}"

enum {
    TRIES = 600,
    TRY_NS = 100 * 1000 * 1000
};

static struct kv_test_server server;
static struct kv_test_signer *first, *second;
static char *folder; /* of the keys */

static int set_up(void **state)
{
    (void)state;
    first = kv_test_signer_create("ES256", "first");
    second = kv_test_signer_create("EdDSA", "second");
    folder = kv_test_folder_make();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kv_test_signer_destroy(first);
    kv_test_signer_destroy(second);
    kv_test_folder_remove(folder);
    free(folder);
    return 0;
}

static void put_keys(struct kv_test_signer *const *signers, size_t n)
{
    char *text = kv_test_signers_jwks(signers, n);
    kv_test_file_put(folder, "jwks.json", text);
    free(text);
}

static void start_with_file(void)
{
    kv_test_start_in(&server, folder,
                     "access: {jwt: [{issuer: '" ISSUER "', keys: '%s/jwks.json', " GRANTS "}]}\n");
}

/* ---- asking ---- */

/* Owns: the caller. left_s: until it expires. */
static char *make_token(const struct kv_test_signer *signer, const char *subject, int left_s)
{
    char claims[256];
    snprintf(claims, sizeof(claims), "{\"iss\":\"" ISSUER "\",\"sub\":\"%s\",\"exp\":%lld}",
             subject, (long long)time(NULL) + left_s);
    return kv_test_sign(signer, claims);
}

static int ask_with(const char *token, const char *method, const char *path, const char *body,
                    struct kv_test_response *ret)
{
    struct kv_test_stream stream;
    char headers[2048];
    snprintf(headers, sizeof(headers), "Authorization: Bearer %s\r\n", token);
    kv_test_stream_open(&stream, server.port);
    int status = kv_test_http_ask(&stream, method, path, headers, body, ret);
    kv_test_stream_close(&stream);
    return status;
}

static int ask(const char *token, const char *method, const char *path, const char *body)
{
    struct kv_test_response response = {0};
    int status = ask_with(token, method, path, body, &response);
    kv_test_response_fini(&response);
    return status;
}

/* The answer when ann reads a missing key of hers. */
static int status_for(const struct kv_test_signer *signer)
{
    char *token = make_token(signer, "ann", 3600);
    int status = ask(token, "GET", "/storage/user/ann/x", NULL);
    free(token);
    return status;
}

static void await_status(const struct kv_test_signer *signer, int status)
{
    for (int i = 0; i < TRIES && status_for(signer) != status; i++)
        nanosleep(&(struct timespec){.tv_nsec = TRY_NS}, NULL);
    assert_int_equal(status_for(signer), status);
}

/* ---- tokens ---- */

static void a_token_grants_according_to_the_templates(void **state)
{
    (void)state;
    put_keys(&first, 1);
    start_with_file();
    char *ann = make_token(first, "ann", 3600);
    assert_int_equal(ask(ann, "PUT", "/storage/user/ann/x", "{\"value\":1}"), 202);
    assert_int_equal(ask(ann, "GET", "/storage/user/ann/x", NULL), 200);
    assert_int_equal(ask(ann, "GET", "/storage/public/x", NULL), 204);
    assert_int_equal(ask(ann, "PUT", "/storage/public/x", "{\"value\":1}"), 403);
    assert_int_equal(ask(ann, "GET", "/storage/user/anna/x", NULL), 403);
    assert_int_equal(ask(ann, "GET", "/storage/user/bo/x", NULL), 403);
    assert_int_equal(kv_test_http_status(server.port, "GET", "/storage/public/x", NULL, NULL), 401);
    free(ann);
    kv_test_server_stop_cleanly(&server);
}

static void assert_invalid(const char *token)
{
    struct kv_test_response response = {0};
    assert_int_equal(ask_with(token, "GET", "/storage/user/ann/x", NULL, &response), 401);
    const char *challenge = kv_test_response_header(&response, "WWW-Authenticate");
    assert_non_null(challenge);
    kv_test_expect_part(challenge, "error=\"invalid_token\"");
    kv_test_response_fini(&response);
}

static void bad_tokens_are_answered_with_401(void **state)
{
    (void)state;
    put_keys(&first, 1);
    start_with_file();
    char *expired = make_token(first, "ann", -60);
    char *stranger = make_token(second, "ann", 3600);
    char *path = make_token(first, "ann/../bo", 3600);
    char *empty = make_token(first, "", 3600);
    char *good = make_token(first, "ann", 3600);
    char *const bad[] = {expired, stranger, path, empty};
    for (size_t i = 0; i < N(bad); i++)
        assert_invalid(bad[i]);
    assert_int_equal(ask(good, "GET", "/storage/user/ann/x", NULL), 204);
    good[strlen(good) - 10] ^= 1;
    assert_invalid(good);
    for (size_t i = 0; i < N(bad); i++)
        free(bad[i]);
    free(good);
    kv_test_server_stop_cleanly(&server);
}

static void a_secret_verifies_hs256(void **state)
{
    struct kv_test_signer *signer = kv_test_signer_with_secret(SECRET);
    (void)state;
    kv_test_start(&server,
                  "access: {jwt: [{issuer: '" ISSUER "', secret: '" SECRET "', " GRANTS "}]}\n");
    assert_int_equal(status_for(signer), 204);
    assert_int_equal(status_for(first), 401);
    kv_test_signer_destroy(signer);
    kv_test_server_stop_cleanly(&server);
}

static void a_claim_grants_at_most_the_configured_prefixes(void **state)
{
    char claims[256];
    struct kv_test_signer *signer = kv_test_signer_with_secret(SECRET);
    (void)state;
    kv_test_start(&server, "access: {jwt: [{issuer: '" ISSUER "', secret: '" SECRET "', "
                           "claim: kv, at_most: {read: [room/]}}]}\n");
    snprintf(claims, sizeof(claims),
             "{\"iss\":\"" ISSUER "\",\"exp\":%lld,"
             "\"kv\":{\"read\":[\"room/1/\",\"secret/\"],\"write\":[\"room/1/\"]}}",
             (long long)time(NULL) + 3600);
    char *token = kv_test_sign(signer, claims);
    assert_int_equal(ask(token, "GET", "/storage/room/1/x", NULL), 204);
    assert_int_equal(ask(token, "GET", "/storage/room/2/x", NULL), 403);
    assert_int_equal(ask(token, "GET", "/storage/secret/x", NULL), 403);
    assert_int_equal(ask(token, "PUT", "/storage/room/1/x", "{\"value\":1}"), 403);
    free(token);
    kv_test_signer_destroy(signer);
    kv_test_server_stop_cleanly(&server);
}

/* Owns: the caller. */
static char *mint(const char *claims)
{
    struct kv_test_outcome outcome;
    char *path = kv_test_path(server.program.folder, "kvserver.yaml");
    kv_test_program_run((const char *[]){"-c", path, "--mint-token", claims, NULL}, &outcome);
    assert_int_equal(outcome.exit_code, 0);
    outcome.out[strcspn(outcome.out, "\n")] = '\0';
    char *token = strdup(outcome.out);
    kv_test_outcome_fini(&outcome);
    free(path);
    return token;
}

static void a_minted_token_is_accepted(void **state)
{
    (void)state;
    kv_test_start(&server, "access: {jwt: [{issuer: '" ISSUER "', audience: us, secret: '" SECRET
                           "', " GRANTS "}]}\n");
    char *token = mint("{\"sub\":\"ann\"}");
    char *expired = mint("{\"sub\":\"ann\",\"exp\":1}");
    assert_int_equal(ask(token, "GET", "/storage/user/ann/x", NULL), 204);
    assert_int_equal(ask(token, "GET", "/storage/user/bo/x", NULL), 403);
    assert_int_equal(ask(expired, "GET", "/storage/user/ann/x", NULL), 401);
    free(token);
    free(expired);
    kv_test_server_stop_cleanly(&server);
}

/* config: NULL for none. */
static void expect_mint(const char *config, const char *claims, int exit_code, const char *message)
{
    struct kv_test_outcome outcome;
    const char *arguments[] = {"--mint-token", claims, config == NULL ? NULL : "-c", config, NULL};
    kv_test_program_run(arguments, &outcome);
    assert_int_equal(outcome.exit_code, exit_code);
    kv_test_expect_part(outcome.err, message);
    assert_int_equal(outcome.out[0] != '\0', exit_code == 0);
    kv_test_outcome_fini(&outcome);
}

static void minting_needs_a_secret_and_claims(void **state)
{
    (void)state;
    expect_mint(NULL, "{}", 2, "a `secret` of `access.jwt`");
    kv_test_start(&server,
                  "access: {jwt: [{issuer: '" ISSUER "', secret: '" SECRET "', " GRANTS "}]}\n");
    char *path = kv_test_path(server.program.folder, "kvserver.yaml");
    expect_mint(path, "ann", 2, "--mint-token: the claims are expected, a JSON object, as");
    expect_mint(path, "[]", 2, "it is no JSON object");
    expect_mint(path, "{\"sub\":\"ann\"}", 0, "");
    expect_mint(path, "{\"sub\":\"ann\",\"exp\":1}", 0,
                "warning: the server will refuse this token: it has expired");
    expect_mint(path, "{\"sub\":\"a/b\"}", 0, "it has no `sub` that can be used");
    expect_mint(path, "{}", 0, "it has no `sub` that can be used");
    expect_mint(path, "{\"sub\":\"ann\",\"iss\":\"x\"}", 0, "it is from another issuer");
    expect_mint(path, "{\"sub\":\"ann\",\"aud\":\"x\"}", 0, "it is for another audience");
    free(path);
    kv_test_server_stop_cleanly(&server);
}

static void text_of_another_form_is_an_unknown_token(void **state)
{
    static const struct {
        const char *token, *why;
    } cases[] = {
        {"a-static-token-1234567890", "the token is not known here"},
        {"a.static-token", "the token is not known here"},
        {"a.static.token", "the token cannot be read"},
    };
    (void)state;
    put_keys(&first, 1);
    start_with_file();
    for (size_t i = 0; i < N(cases); i++) {
        struct kv_test_response response = {0};
        assert_int_equal(ask_with(cases[i].token, "GET", "/storage/user/ann/x", NULL, &response),
                         401);
        kv_buffer_append_char(&response.body, '\0');
        kv_test_expect_part(response.body.bytes, cases[i].why);
        kv_test_response_fini(&response);
    }
    kv_test_server_stop_cleanly(&server);
}

static void token_of_another_issuer_is_told_from_an_unknown_one(void **state)
{
    (void)state;
    struct kv_test_response response = {0};
    put_keys(&first, 1);
    start_with_file();
    char *claims = NULL;
    assert_true(asprintf(&claims,
                         "{\"iss\":\"https://elsewhere.example\",\"sub\":\"ann\",\"exp\":%lld}",
                         (long long)time(NULL) + 3600) > 0);
    char *token = kv_test_sign(first, claims);
    assert_int_equal(ask_with(token, "GET", "/storage/user/ann/x", NULL, &response), 401);
    kv_buffer_append_char(&response.body, '\0');
    kv_test_expect_part(response.body.bytes, "the token is from an issuer that is not known here");
    kv_test_await_log(&server, "the token is from an issuer that is not known here");
    char *log = kv_test_server_log(&server);
    assert_null(strstr(log, "elsewhere"));
    free(log);
    kv_test_response_fini(&response);
    free(token);
    free(claims);
    kv_test_server_stop_cleanly(&server);
}

static void the_log_names_the_issuer_and_no_control_characters(void **state)
{
    (void)state;
    put_keys(&first, 1);
    start_with_file();
    char *token = make_token(first,
                             "ann\xc2\x85"
                             "anonymous",
                             3600);
    assert_int_equal(ask(token, "GET", "/storage/user/bo%C2%9B/x", NULL), 403);
    kv_test_await_log(&server,
                      "ann\\u0085anonymous of " ISSUER " may not get \"user/bo\\u009b/x\"");
    free(token);
    kv_test_server_stop_cleanly(&server);
}

/* ---- keys of a file ---- */

static void open_websocket(struct kv_test_ws *ws, const struct kv_test_signer *signer)
{
    char headers[2048];
    char *token = make_token(signer, "ann", 3600);
    snprintf(headers, sizeof(headers), "Authorization: Bearer %s\r\n", token);
    kv_test_ws_open_with(ws, server.port, headers);
    free(token);
}

static void a_rotation_of_the_file_needs_no_restart(void **state)
{
    struct kv_test_signer *const both[] = {first, second};
    struct kv_test_ws kept, ended;
    (void)state;
    put_keys(both, 2);
    start_with_file();
    assert_int_equal(status_for(first), 204);
    open_websocket(&ended, first);
    open_websocket(&kept, second);
    put_keys(&second, 1);
    kv_test_ws_expect_closed(&ended, 3000);
    assert_int_equal(status_for(first), 401);
    assert_int_equal(status_for(second), 204);
    kv_test_ws_send_text(&kept, "{\"type\":\"get\",\"payload\":{\"key\":\"user/ann/x\"}}");
    kv_test_ws_expect(&kept, "{\"type\":\"no-value\",\"payload\":{\"key\":\"user/ann/x\"}}");
    put_keys(both, 2);
    await_status(first, 204);
    kv_test_ws_close(&ended);
    kv_test_ws_close(&kept);
    kv_test_server_stop_cleanly(&server);
}

static void a_broken_file_changes_nothing_and_is_logged(void **state)
{
    (void)state;
    put_keys(&first, 1);
    start_with_file();
    kv_test_file_put(folder, "jwks.json",
                     "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"x\"}]}");
    kv_test_await_log(&server, "keys[0] (kid \"x\"): `x` must be a string");
    assert_int_equal(status_for(first), 204);
    assert_int_equal(kill(server.program.pid, SIGHUP), 0);
    kv_test_await_log(&server, "access.jwt[0].keys");
    assert_int_equal(status_for(first), 204);
    put_keys(&second, 1);
    await_status(second, 204);
    kv_test_server_stop_cleanly(&server);
}

/* ---- keys of a URL ---- */

static struct kv_test_https *start_https(void)
{
    char *path = kv_test_path(folder, "ca.pem");
    struct kv_test_https *https = kv_test_https_start(path);
    free(path);
    return https;
}

static void publish(struct kv_test_https *https, struct kv_test_signer *const *signers, size_t n)
{
    char *text = kv_test_signers_jwks(signers, n);
    kv_test_https_answer(https, text);
    free(text);
}

/* options: of the issuer, with a comma before each. */
static void start_with_url(const struct kv_test_https *https, const char *options)
{
    char more[1024];
    snprintf(more, sizeof(more),
             "access: {jwt: [{issuer: '" ISSUER "', keys: 'https://127.0.0.1:%u/jwks', " GRANTS
             "%s}]}\n",
             kv_test_https_port(https), options);
    kv_test_start_in(&server, folder, more);
}

#define WITH_CA ", ca_file: '%s/ca.pem'"

static void keys_of_a_url_are_fetched_at_the_start_and_for_an_unknown_key(void **state)
{
    struct kv_test_signer *const both[] = {first, second};
    struct kv_test_https *https = start_https();
    (void)state;
    publish(https, &first, 1);
    start_with_url(https, WITH_CA);
    await_status(first, 204);
    size_t n = kv_test_https_n_requests(https);
    publish(https, both, 2);
    assert_int_equal(status_for(second), 401); /* and it is fetched */
    kv_test_https_await(https, n);
    await_status(second, 204);
    n = kv_test_https_n_requests(https);
    struct kv_test_signer *third = kv_test_signer_create("EdDSA", "third");
    for (int i = 0; i < 10; i++)
        assert_int_equal(status_for(third), 401); /* no more than once a minute */
    assert_int_equal(kv_test_https_n_requests(https), n);
    kv_test_signer_destroy(third);
    kv_test_server_stop_cleanly(&server);
    kv_test_https_stop(https);
}

static void known_keys_are_kept_while_the_key_url_fails(void **state)
{
    struct kv_test_https *https = start_https();
    (void)state;
    publish(https, &first, 1);
    start_with_url(https, WITH_CA);
    await_status(first, 204);
    kv_test_https_answer_with(https, "500 Internal Server Error", "");
    assert_int_equal(kill(server.program.pid, SIGHUP), 0);
    kv_test_await_log(&server, "it was answered with 500; the keys known before stay valid");
    assert_int_equal(status_for(first), 204);
    kv_test_server_stop_cleanly(&server);
    kv_test_https_stop(https);
}

static void a_url_whose_certificate_is_not_trusted_is_refused(void **state)
{
    struct kv_test_https *https = start_https();
    (void)state;
    publish(https, &first, 1);
    start_with_url(https, "");
    kv_test_await_log(&server, "certificate");
    assert_int_equal(status_for(first), 401);
    assert_int_equal(kv_test_https_n_requests(https), 0);
    kv_test_server_stop_cleanly(&server);
    kv_test_https_stop(https);
}

static void a_redirect_to_plain_http_is_refused(void **state)
{
    struct kv_test_https *https = start_https();
    (void)state;
    kv_test_https_answer_with(https, "302 Found", "Location: http://127.0.0.1:9/jwks\r\n");
    start_with_url(https, WITH_CA);
    kv_test_await_log(&server, "there are no keys yet");
    char *token = make_token(first, "ann", 3600);
    struct kv_test_response response = {0};
    assert_int_equal(ask_with(token, "GET", "/storage/user/ann/x", NULL, &response), 401);
    kv_buffer_append_char(&response.body, '\0');
    kv_test_expect_part(response.body.bytes, "the keys of its issuer have not been fetched yet");
    kv_test_response_fini(&response);
    free(token);
    kv_test_server_stop_cleanly(&server);
    kv_test_https_stop(https);
}

/* ---- time ---- */

#define ROOM "\"kv\":{\"read\":[\"room/1/\"]}"

static void start_with_secret(void)
{
    kv_test_start(&server, "access: {jwt: [{issuer: '" ISSUER "', secret: '" SECRET "', " GRANTS
                           ", claim: kv, at_most: {read: [room/]}}]}\n");
}

/* Owns: the caller. more: further claims; empty for none. */
static char *make_secret_token(const char *more, int left_s)
{
    char claims[256];
    struct kv_test_signer *signer = kv_test_signer_with_secret(SECRET);
    snprintf(claims, sizeof(claims), "{\"iss\":\"" ISSUER "\",\"sub\":\"ann\",\"exp\":%lld%s%s}",
             (long long)time(NULL) + left_s, more[0] == '\0' ? "" : ",", more);
    char *token = kv_test_sign(signer, claims);
    kv_test_signer_destroy(signer);
    return token;
}

static void open_with_token(struct kv_test_ws *ws, const char *token)
{
    char headers[2048];
    snprintf(headers, sizeof(headers), "Authorization: Bearer %s\r\n", token);
    kv_test_ws_open_with(ws, server.port, headers);
}

/* Returns: how many seconds it says are left. */
static int expect_expiring(struct kv_test_ws *ws)
{
    static const char begin[] = "{\"type\":\"expiring\",\"payload\":{\"seconds\":";
    struct kv_test_frame frame;
    assert_true(kv_test_ws_receive(ws, &frame));
    assert_true(frame.payload.len > sizeof(begin));
    assert_memory_equal(frame.payload.bytes, begin, sizeof(begin) - 1);
    return atoi(frame.payload.bytes + sizeof(begin) - 1);
}

static void subscribe(struct kv_test_ws *ws, const char *prefix)
{
    kv_test_ws_send_text(ws, "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"prefix\":\"%s\"}}",
                         prefix);
    kv_test_ws_expect(ws, "{\"type\":\"ok\",\"id\":1,\"payload\":{\"prefix\":\"%s\"}}", prefix);
}

static void a_token_that_expires_soon_is_renewed_on_the_connection(void **state)
{
    struct kv_test_ws ws;
    (void)state;
    start_with_secret();
    char *soon = make_secret_token(ROOM, 50), *later = make_secret_token("", 3600);
    open_with_token(&ws, soon);
    assert_in_range(expect_expiring(&ws), 1, 50);
    subscribe(&ws, "user/ann/");
    subscribe(&ws, "room/1/");
    kv_test_ws_send_text(&ws, "{\"type\":\"auth\",\"id\":2,\"payload\":{\"token\":\"%s\"}}", later);
    kv_test_ws_expect(&ws, "{\"type\":\"ok\",\"id\":2,\"payload\":{}}");
    kv_test_ws_expect(&ws,
                      "{\"type\":\"ended\",\"payload\":{\"prefix\":\"room/1/\",\"error\":\"the "
                      "right to do this has not been granted\",\"status\":403}}");
    assert_int_equal(ask(later, "PUT", "/storage/user/ann/x", "{\"value\":1}"), 202);
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"user/ann/x\",\"value\":1}}");
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"user/ann/y\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"user/ann/y\"}}");
    free(soon);
    free(later);
    kv_test_ws_close(&ws);
    kv_test_server_stop_cleanly(&server);
}

/* Also if the rules, and with them all principals, are replaced meanwhile. */
static void the_expiry_of_a_token_is_announced_once(void **state)
{
    const struct {
        int left_s, at_least, at_most;
    } cases[] = {{40, 1, 40}, {-10, 0, 0}};
    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        struct kv_test_ws ws;
        start_with_secret();
        char *token = make_secret_token("", cases[i].left_s);
        open_with_token(&ws, token);
        assert_in_range(expect_expiring(&ws), cases[i].at_least, cases[i].at_most);
        kill(server.program.pid, SIGHUP);
        kv_test_await_log(&server, "nothing has changed that needs a restart");
        for (int n = 0; n < 3; n++) { /* the loop replaces its principals in a turn of its own */
            kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"user/ann/y\"}}");
            kv_test_ws_expect(&ws, "{\"type\":\"no-value\",\"payload\":{\"key\":\"user/ann/y\"}}");
        }
        free(token);
        kv_test_ws_close(&ws);
        kv_test_server_stop_cleanly(&server);
    }
}

/* It has expired, but for the leeway. */
static void a_token_that_expires_ends_the_connections(void **state)
{
    struct kv_test_ws ws;
    struct kv_test_stream events, held;
    struct kv_test_response response = {0};
    struct kv_buffer request = {0};
    char headers[2048];
    (void)state;
    start_with_secret();
    char *token = make_secret_token("", -27);
    snprintf(headers, sizeof(headers), "Authorization: Bearer %s\r\n", token);
    open_with_token(&ws, token);
    assert_int_equal(expect_expiring(&ws), 0);
    kv_test_stream_open(&held, server.port);
    assert_int_equal(
        kv_test_http_ask(&held, "GET", "/storage/user/ann/x", headers, NULL, &response), 204);
    kv_test_stream_open(&events, server.port);
    kv_test_http_write(&request, "GET", KV_SLICE("/events?prefix=user/ann/"), headers,
                       (struct kv_slice){0});
    kv_test_stream_put(&events, kv_buffer_slice(&request));
    kv_test_stream_flush(&events);
    kv_test_ws_expect_closed(&ws, 3000);
    kv_test_stream_await_end(&events);
    struct kv_slice sent = kv_test_stream_unread(&events);
    assert_non_null(memmem(sent.bytes, sent.len, "event: unauthorized\n", 20));
    assert_int_equal(
        kv_test_http_ask(&held, "GET", "/storage/user/ann/x", headers, NULL, &response), 401);
    kv_test_response_fini(&response);
    kv_buffer_fini(&request);
    kv_test_stream_close(&held);
    kv_test_stream_close(&events);
    kv_test_ws_close(&ws);
    free(token);
    kv_test_server_stop_cleanly(&server);
}

/* ---- the configuration ---- */

#define JWT(rest) "access:\n  jwt:\n    - issuer: " ISSUER "\n" rest
#define HS256     "      secret: " SECRET "\n"

static void a_missing_variable_is_the_only_fault_of_a_secret(void **state)
{
    static const char *const yaml[] = {JWT("      secret: ${KV_UNSET}\n"),
                                       JWT("      keys: ${KV_UNSET}\n")};
    (void)state;
    for (size_t i = 0; i < N(yaml); i++) {
        struct kv_test_outcome outcome;
        char *text = kv_test_with_modules(yaml[i]);
        kv_test_program_run_with_file("--check-config", text, &outcome);
        assert_int_not_equal(outcome.exit_code, 0);
        kv_test_expect_part(outcome.err, "KV_UNSET");
        assert_null(strstr(outcome.err, "access.jwt[0].keys: `keys`"));
        kv_test_outcome_fini(&outcome);
        free(text);
    }
}

static void configuration_faults_are_reported_with_their_place(void **state)
{
    static const struct {
        const char *yaml, *message;
    } cases[] = {
        {JWT(""),
         ":3:7: access.jwt[0].keys: `keys` (a JWK Set: a file or an https URL) or `secret`"},
        {JWT(HS256 "      keys: a.json\n"), "either `keys` or `secret` is expected, not both"},
        {JWT("      keys: http://id.example.org/\n"),
         ":4:13: access.jwt[0].keys: a file or an https"},
        {JWT("      keys: https://u:p@id.example.org/\n"), "a login in the URL is not supported"},
        {JWT("      keys: none.json\n"), "none.json: it cannot be opened: No such file"},
        {JWT("      secret: short\n"), ":4:15: access.jwt[0].secret: the secret has 5 bytes"},
        {JWT(HS256 "      algorithms: [RS256]\n"), "a secret is for HS256 only"},
        {JWT(HS256 "      audience: ''\n"), ":5:17: access.jwt[0].audience: it is empty"},
        {JWT(HS256 "      algorithms: []\n"), "an empty list refuses every token"},
        {JWT("      keys: https://id.example.org/\n      algorithms: [HS256]\n"),
         "HS256 needs `secret`"},
        {JWT(HS256 "      grants: {read: ['user/{sub}']}\n"),
         ":5:23: access.jwt[0].grants.read[0]: a / must follow {sub}"},
        {JWT(HS256 "      grants: {write: ['{name}/']}\n"), "{sub} is the only placeholder"},
        {JWT(HS256 "      claim: kv\n"), "access.jwt[0].claim: `at_most` is needed"},
        {JWT(HS256 "      at_most: {read: [a/]}\n"), "it has no effect without `claim`"},
        {JWT(HS256 "      ca_file: /dev/null\n"), "it is for a URL of `keys` only"},
        {JWT(HS256 "    - issuer: " ISSUER "\n" HS256), "access.jwt[1].issuer: it is that of"},
        {"access: {jwt: [{secret: " SECRET "}]}\n", "issuer"},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        struct kv_test_outcome outcome;
        char *yaml = kv_test_with_modules(cases[i].yaml);
        kv_test_program_run_with_file("--check-config", yaml, &outcome);
        assert_int_not_equal(outcome.exit_code, 0);
        kv_test_expect_part(outcome.err, cases[i].message);
        assert_null(strstr(outcome.err, SECRET));
        kv_test_outcome_fini(&outcome);
        free(yaml);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_grants_according_to_the_templates),
        cmocka_unit_test(bad_tokens_are_answered_with_401),
        cmocka_unit_test(a_secret_verifies_hs256),
        cmocka_unit_test(a_claim_grants_at_most_the_configured_prefixes),
        cmocka_unit_test(a_minted_token_is_accepted),
        cmocka_unit_test(minting_needs_a_secret_and_claims),
        cmocka_unit_test(text_of_another_form_is_an_unknown_token),
        cmocka_unit_test(token_of_another_issuer_is_told_from_an_unknown_one),
        cmocka_unit_test(the_log_names_the_issuer_and_no_control_characters),
        cmocka_unit_test(a_rotation_of_the_file_needs_no_restart),
        cmocka_unit_test(a_broken_file_changes_nothing_and_is_logged),
        cmocka_unit_test(keys_of_a_url_are_fetched_at_the_start_and_for_an_unknown_key),
        cmocka_unit_test(known_keys_are_kept_while_the_key_url_fails),
        cmocka_unit_test(a_url_whose_certificate_is_not_trusted_is_refused),
        cmocka_unit_test(a_redirect_to_plain_http_is_refused),
        cmocka_unit_test(a_token_that_expires_soon_is_renewed_on_the_connection),
        cmocka_unit_test(the_expiry_of_a_token_is_announced_once),
        cmocka_unit_test(a_token_that_expires_ends_the_connections),
        cmocka_unit_test(a_missing_variable_is_the_only_fault_of_a_secret),
        cmocka_unit_test(configuration_faults_are_reported_with_their_place),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
