/*
 * Access control: every kind of command, over every transport, with tokens whose grants allow it,
 * forbid it, or end just beside the key.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "fixture.h"
#include "support/client/folder.h"
#include "support/jwt/signer.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* A header that makes libh2o serve the request, not the fast path. */
#define ODD_HEADER "Odd: 1\r\n"

#define READER   "reader-token-1234567890"
#define WRITER   "writer-token-1234567890"
#define BOTH     "both-token-1234567890"
#define OTHER    "other-token-1234567890"
#define EVERY    "every-token-1234567890"
#define NOTHING  "nothing-token-1234567890"
#define OPERATOR "operator-token-1234567890"

#define SECRET "0123456789abcdef0123456789abcdef"

#define DIGEST_OF_BOTH "52281c6ff09b87fbfde85fcea88f45bbb51548431dd55681dfc7d26c2453bdb2"

#define ACCESS                                                                                     \
    "origins: ['https://app.example.org', 'https://*.pages.example.org', '*']\n"                   \
    "timeouts: {auth: 300ms}\n"                                                                    \
    "access:\n"                                                                                    \
    "  anonymous: {read: [public/]}\n"                                                             \
    "  cookie: kvtoken\n"                                                                          \
    "  tokens:\n"                                                                                  \
    "    - {name: reader, read: [a/], sha256: "                                                    \
    "a6bb083c855ee6ecbbfd0ae3bc32dda6938f18440e3583df6136a42d111b1945}\n"                          \
    "    - {name: writer, write: [a/], sha256: "                                                   \
    "0ba93943beba04c199907e976dd8d479fd6ffa6bf2ebedef7e390ca67cffa1e7}\n"                          \
    "    - {name: both, read: [a/], write: [a/], sha256: " DIGEST_OF_BOTH "}\n"                    \
    "    - {name: other, read: [b/, c/1/], write: [b/], sha256: "                                  \
    "6ee4ef38a45d3381c35f61c4b030acb183fb4ae9d754548303df33e24cedebd8}\n"                          \
    "    - {name: every, read: [''], write: [''], sha256: "                                        \
    "105b1190953880ed6984b47621dbbd65799e2c07646d4e4327dd7bf205b414c4}\n"                          \
    "    - {name: nothing, sha256: "                                                               \
    "f08108388773005fa3bab6be1e55f0ef4330293f817d365b885a7c79b3a5cde5}\n"                          \
    "    - {name: operator, admin: [slowlog], sha256: "                                            \
    "275513506d8554924be9118c9f71f07ca1fe3ac7c339a2e6f892fe3322e8b725}\n"                          \
    "    - {name: metrics, admin: [metrics], sha256: "                                             \
    "e9749b37a457eec5258fcd2e239069997842c77ceabc8a6d32c905419c1bf2a7}\n"                          \
    "    - {name: backup, admin: [backup], sha256: "                                               \
    "fbeaa638f10c33cd4fa91a1dd72df73881578defb2da58f1f667ae52dcf7dce9}\n"                          \
    "    - {name: clients, admin: [clients], sha256: "                                             \
    "da8da58e1ab4d041320ba27d95f798df4578585be57cf2b78c51d66dcaaef426}\n"                          \
    "    - {name: restore, admin: [restore], sha256: "                                             \
    "bc0d9d9d1a70bd8d1656af54c4d3c1eb88cfcfc616007472b5419debc9442175}\n"                          \
    "    - {name: cluster, admin: [cluster], sha256: "                                             \
    "cec973b921f11e00de5d7ab79ce919c371ef7eed63096e9bc819e5a58edcf502}\n"                          \
    "  jwt:\n"                                                                                     \
    "    - {issuer: granting, secret: " SECRET ", grants: {read: ['{sub}/']}}\n"                   \
    "    - {issuer: claiming, secret: " SECRET                                                     \
    ", claim: kv, at_most: {read: [a/], write: [a/]}}\n"

enum {
    R = 1,
    W = 2
};

/* ---- transports ---- */

static uint16_t port;
static struct kv_test_response response;

/* "" belongs to no token. */
static const char *headers_for(const char *token, const char *more)
{
    static char headers[4096];
    snprintf(headers, sizeof(headers), "%s%s%s%s", token[0] == '\0' ? "" : "Authorization: Bearer ",
             token, token[0] == '\0' ? "" : "\r\n", more);
    return headers;
}

static int ask(const char *token, const char *method, const char *path, const char *more,
               const char *body)
{
    struct kv_test_stream stream;
    kv_test_stream_open(&stream, port);
    int status = kv_test_http_ask(&stream, method, path, headers_for(token, more), body, &response);
    kv_buffer_append_char(&response.body, '\0');
    kv_test_stream_close(&stream);
    return status;
}

static void open_as(struct kv_test_ws *ws, const char *token)
{
    kv_test_ws_open_with(ws, port, headers_for(token, ""));
}

/* The request of a command: over HTTP, and as a message. `%s` is the key. */
struct kind {
    const char *name;
    int rights;
    const char *method; /* NULL: not over HTTP */
    const char *path;
    const char *headers;
    const char *body;
    const char *message; /* NULL: not as one */
    bool is_for_batch;
};

#define MERGE_TYPE "Content-Type: application/merge-patch+json\r\n"

static const struct kind kinds[] = {
    {"get", R, "GET", "/storage/%s", "", NULL,
     "{\"type\":\"get\",\"id\":1,\"payload\":{\"key\":\"%s\"}}", true},
    {"head", R, "GET", "/storage/%s", "", NULL, NULL, false},
    {"get if changed", R, "GET", "/storage/%s", "If-None-Match: \"1\"\r\n", NULL,
     "{\"type\":\"get\",\"id\":1,\"payload\":{\"key\":\"%s\",\"meta\":true}}", true},
    {"set", W, "PUT", "/storage/%s", "", "{\"value\":1}",
     "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"%s\",\"value\":1}}", true},
    {"set with a ttl", W, "POST", "/storage/%s", "", "{\"value\":1,\"ttl\":\"1h\"}",
     "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"%s\",\"value\":1,\"ttl\":\"1h\"}}", true},
    {"set if present", R | W, "PUT", "/storage/%s", "If-Match: *\r\n", "{\"value\":1}", NULL,
     false},
    {"set if absent", R | W, "PUT", "/storage/%s", "If-None-Match: *\r\n", "{\"value\":1}",
     "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"%s\",\"value\":1,\"if_absent\":true}}",
     true},
    {"set of a revision", R | W, "PUT", "/storage/%s", "If-Match: \"1\"\r\n", "{\"value\":1}",
     "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"%s\",\"value\":1,\"if_revision\":1}}",
     true},
    {"lease", R | W, NULL, NULL, NULL, NULL,
     "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"%s\",\"value\":1,\"ttl\":\"1h\","
     "\"while_connected\":true}}",
     false},
    {"touch", R | W, "PATCH", "/storage/%s", "", "{\"ttl\":0}",
     "{\"type\":\"touch\",\"id\":1,\"payload\":{\"key\":\"%s\",\"ttl\":0}}", true},
    {"increment", R | W, "PATCH", "/storage/%s", "", "{\"increment\":1}",
     "{\"type\":\"increment\",\"id\":1,\"payload\":{\"key\":\"%s\"}}", true},
    {"merge", R | W, "PATCH", "/storage/%s", MERGE_TYPE, "{\"m\":1}",
     "{\"type\":\"merge\",\"id\":1,\"payload\":{\"key\":\"%s\",\"patch\":{\"m\":1}}}", true},
    {"subscribe", R, NULL, NULL, NULL, NULL,
     "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"key\":\"%s\"}}", false},
    {"subscribe from the present state", R, NULL, NULL, NULL, NULL,
     "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"key\":\"%s\",\"initial\":true}}", false},
    {"subscribe since", R, NULL, NULL, NULL, NULL,
     "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"key\":\"%s\",\"since\":1,\"epoch\":\"e\"}}",
     false},
    {"subscribe to a prefix", R, NULL, NULL, NULL, NULL,
     "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"prefix\":\"%s\"}}", false},
    {"list", R, "GET", "/storage?prefix=%s", "", NULL, NULL, false},
    {"list values", R, "GET", "/storage?values=true&limit=1&prefix=%s", "", NULL, NULL, false},
    {"list folders", R, "GET", "/storage?delimiter=/&prefix=%s", "", NULL, NULL, false},
    {"count", R, "GET", "/storage?count=true&prefix=%s", "", NULL, NULL, false},
    {"events", R, "GET", "/events?key=%s", "", NULL, NULL, false},
    {"events of a prefix", R, "GET", "/events?initial=true&prefix=%s", "", NULL, NULL, false},
    {"delete of a revision", R | W, "DELETE", "/storage/%s", "If-Match: \"1\"\r\n", NULL,
     "{\"type\":\"delete\",\"id\":1,\"payload\":{\"key\":\"%s\",\"if_revision\":1}}", true},
    {"delete", W, "DELETE", "/storage/%s", "", NULL,
     "{\"type\":\"delete\",\"id\":1,\"payload\":{\"key\":\"%s\"}}", true},
};

struct grantee {
    const char *token;
    int rights;  /* over keys that begin with a/ */
    bool is_all; /* and over all others */
};

/* JSON Web Tokens follow: see make_tokens(). */
static struct grantee grantees[] = {
    {"", 0, false},    {READER, R, false},   {WRITER, W, false},  {BOTH, R | W, false},
    {OTHER, 0, false}, {EVERY, R | W, true}, {NOTHING, 0, false}, {NULL, R, false},
    {NULL, 0, false},  {NULL, R | W, false}, {NULL, W, false},    {NULL, 0, false},
};

enum {
    N_STATIC = 7
};

/* Their claims, with the rights above: a claim grants what `at_most` covers, and no more. */
static const char *const claims[N(grantees) - N_STATIC] = {
    "\"iss\":\"granting\",\"sub\":\"a\"",
    "\"iss\":\"granting\",\"sub\":\"b\"",
    "\"iss\":\"claiming\",\"sub\":\"a\",\"kv\":{\"read\":[\"\"],\"write\":[\"a\",\"d/\"]}",
    "\"iss\":\"claiming\",\"sub\":\"a\",\"kv\":{\"read\":[\"d/\",\"a0\"],\"write\":[\"a/\"]}",
    "\"iss\":\"claiming\",\"sub\":\"a\",\"kv\":{\"read\":[\"a/there/x\"],\"write\":[\"A/\"]}",
};

static char *tokens[N(grantees) - N_STATIC];

static void make_tokens(void)
{
    struct kv_test_signer *signer = kv_test_signer_with_secret(SECRET);
    for (size_t i = 0; i < N(tokens); i++) {
        char text[256];
        snprintf(text, sizeof(text), "{%s,\"exp\":%lld}", claims[i],
                 (long long)time(NULL) + 24 * 3600);
        tokens[i] = kv_test_sign(signer, text);
        grantees[N_STATIC + i].token = tokens[i];
    }
    kv_test_signer_destroy(signer);
}

static void free_tokens(void)
{
    for (size_t i = 0; i < N(tokens); i++)
        free(tokens[i]);
}

/* Within a/, and at its boundaries: before, after and beside it. */
static const struct {
    const char *text;
    bool is_within;
} keys[] = {
    {"a/there", true}, {"a/missing", true}, {"a/", true},       {"a", false},
    {"a0", false},     {"A/", false},       {"d/there", false}, {"d/missing", false},
};

static bool is_allowed(const struct kind *kind, const struct grantee *grantee, size_t key)
{
    bool has_rights = (kind->rights & ~grantee->rights) == 0;
    return has_rights && (keys[key].is_within || grantee->is_all);
}

/* Values on which every kind of command has an effect. */
static void fill(void)
{
    static const char *const there[] = {"a/there", "d/there", "c/1/x", "c/2/x", "public/x"};
    for (size_t i = 0; i < N(there); i++) {
        char path[64];
        snprintf(path, sizeof(path), "/storage/%s", there[i]);
        assert_int_equal(ask(EVERY, "PUT", path, "", "{\"value\":1}"), 202);
    }
}

static void expand(char *to, size_t size, const char *template, const char *key)
{
    const char *at = strstr(template, "%s");
    snprintf(to, size, "%.*s%s%s", (int)(at - template), template, key, at + 2);
}

/* The ways of an HTTP request and its token. */
enum way {
    BY_FAST_PATH,
    BY_LIBH2O,
    BY_COOKIE,
    N_WAYS
};

static const char *headers_by(enum way way, const char *token, const char *more)
{
    char all[2048];
    if (way == BY_FAST_PATH || token[0] == '\0')
        return headers_for(token, more);
    snprintf(all, sizeof(all), "%s%s%s%s", way == BY_COOKIE ? "Cookie: kvtoken=" : ODD_HEADER,
             way == BY_COOKIE ? token : "",
             way == BY_COOKIE ? "\r\nSec-Fetch-Site: same-origin\r\n" : "", more);
    return headers_for(way == BY_COOKIE ? "" : token, all);
}

/* Opens the path, and reads only the head: event streams do not end. */
static int ask_head(const char *path, const char *headers)
{
    struct kv_test_stream stream;
    struct kv_buffer request = {0};
    int status = 0;
    kv_test_stream_open(&stream, port);
    kv_test_http_write(&request, "GET", kv_slice_of(path), headers, (struct kv_slice){0});
    kv_test_stream_put(&stream, kv_buffer_slice(&request));
    kv_test_stream_flush(&stream);
    assert_true(kv_test_stream_await(&stream, 12));
    sscanf(kv_test_stream_unread(&stream).bytes, "HTTP/1.1 %d", &status);
    kv_buffer_fini(&request);
    kv_test_stream_close(&stream);
    return status;
}

static void check_status(const struct kind *kind, const struct grantee *grantee, size_t key,
                         const char *way, int status)
{
    int denied = grantee->token[0] == '\0' ? 401 : 403;
    bool allowed = is_allowed(kind, grantee, key);
    if (allowed ? status == 401 || status == 403 || status >= 500 : status != denied)
        fail_msg("%s of %s by \"%s\" over %s: %d", kind->name, keys[key].text, grantee->token, way,
                 status);
}

/* A connection for each grantee and way: the streams of the table. */
static struct kv_test_stream kept[N(grantees)][N_WAYS];

static void open_kept(void)
{
    for (size_t g = 0; g < N(grantees); g++)
        for (size_t way = 0; way < N_WAYS; way++)
            kv_test_stream_open(&kept[g][way], port);
}

static void close_kept(void)
{
    for (size_t g = 0; g < N(grantees); g++)
        for (size_t way = 0; way < N_WAYS; way++)
            kv_test_stream_close(&kept[g][way]);
}

static void check_http(const struct kind *kind, size_t g, size_t key, enum way way)
{
    static const char *const names[] = {"the fast path", "libh2o", "libh2o with a cookie"};
    const struct grantee *grantee = &grantees[g];
    char path[128];
    if (kind->method == NULL)
        return;
    expand(path, sizeof(path), kind->path, keys[key].text);
    const char *headers = headers_by(way, grantee->token, kind->headers);
    int status =
        strncmp(path, "/events", 7) == 0
            ? ask_head(path, headers)
            : kv_test_http_ask(&kept[g][way], kind->method, path, headers, kind->body, &response);
    check_status(kind, grantee, key, names[way], status);
}

static bool is_denial(struct kv_slice answer)
{
    static const char *const texts[] = {"is needed for this", "a token is needed",
                                        "must lie within"};
    for (size_t i = 0; i < N(texts); i++)
        if (memmem(answer.bytes, answer.len, texts[i], strlen(texts[i])) != NULL)
            return true;
    return false;
}

static void check_answer(const struct kind *kind, const struct grantee *grantee, size_t key,
                         const char *way, struct kv_slice answer)
{
    if (is_denial(answer) == is_allowed(kind, grantee, key))
        fail_msg("%s of %s by \"%s\" over %s: %.*s", kind->name, keys[key].text, grantee->token,
                 way, (int)answer.len, answer.bytes);
}

/* Answers have the message's id; other messages belong to subscriptions. */
static void check_message(struct kv_test_ws *ws, const struct kind *kind,
                          const struct grantee *grantee, size_t key, const char *way)
{
    char text[256];
    struct kv_test_frame frame;
    expand(text, sizeof(text), kind->message, keys[key].text);
    kv_test_ws_send(ws, kv_slice_of(text));
    do
        assert_true(kv_test_ws_receive(ws, &frame));
    while (memmem(frame.payload.bytes, frame.payload.len, "\"id\":1", 6) == NULL);
    check_answer(kind, grantee, key, way, frame.payload);
}

/* As somebody else at first, whose rights must be gone. */
static void open_and_authenticate(struct kv_test_ws *ws, const char *token)
{
    open_as(ws, "");
    kv_test_ws_send_text(ws, "{\"type\":\"auth\",\"id\":0,\"payload\":{\"token\":\"%s\"}}", token);
    kv_test_ws_expect(ws, "{\"type\":\"ok\",\"id\":0,\"payload\":{}}");
}

static void check_messages(const struct kind *kind, const struct grantee *grantee)
{
    struct kv_test_ws ws;
    bool has_token = grantee->token[0] != '\0';
    for (int i = 0; i < 1 + has_token && kind->message != NULL; i++) {
        if (i == 0)
            open_as(&ws, grantee->token);
        else
            open_and_authenticate(&ws, grantee->token);
        for (size_t key = 0; key < N(keys); key++)
            check_message(&ws, kind, grantee, key,
                          i == 0 ? "a WebSocket" : "a WebSocket, after `auth`");
        kv_test_ws_close(&ws);
    }
}

static void check_batch(const struct kind *kind, size_t g, size_t key)
{
    char text[256], body[600];
    if (!kind->is_for_batch)
        return;
    expand(text, sizeof(text), kind->message, keys[key].text);
    snprintf(body, sizeof(body), "[{\"type\":\"get\",\"payload\":{\"key\":\"public/x\"}},%s]",
             text);
    int status = kv_test_http_ask(&kept[g][1], "POST", "/batch", headers_for(grantees[g].token, ""),
                                  body, &response);
    assert_int_equal(status, 200);
    kv_buffer_append_char(&response.body, '\0');
    const char *second = strstr(response.body.bytes, "},{");
    assert_non_null(second);
    check_answer(kind, &grantees[g], key, "a batch", kv_slice_of(second));
}

static void each_kind_of_command_needs_its_rights_by_every_way_in(void **state)
{
    (void)state;
    open_kept();
    for (size_t k = 0; k < N(kinds); k++) {
        fill();
        for (size_t g = 0; g < N(grantees); g++) {
            check_messages(&kinds[k], &grantees[g]);
            for (size_t key = 0; key < N(keys); key++) {
                for (enum way way = BY_FAST_PATH; way < N_WAYS; way++)
                    check_http(&kinds[k], g, key, way);
                check_batch(&kinds[k], g, key);
            }
        }
    }
    close_kept();
}

/* ---- long bodies, and pipelines ---- */

enum {
    LONG_BODY = 300000,
    CHUNK = 50000
};

static void write_chunked(struct kv_buffer *out, const char *path, const char *token,
                          struct kv_slice body)
{
    kv_buffer_printf(out,
                     "PUT %s HTTP/1.1\r\nHost: localhost\r\n%sTransfer-Encoding: chunked\r\n\r\n",
                     path, headers_for(token, ""));
    for (size_t at = 0; at < body.len; at += CHUNK) {
        size_t len = body.len - at < CHUNK ? body.len - at : CHUNK;
        kv_buffer_printf(out, "%zx\r\n%.*s\r\n", len, (int)len, body.bytes + at);
    }
    kv_buffer_append(out, KV_SLICE("0\r\n\r\n"));
}

/* Refusals may come before the body has been sent, and then the connection ends. */
static int put_long(const char *token, const char *path, struct kv_slice body, bool is_chunked)
{
    struct kv_test_stream stream;
    struct kv_buffer request = {0};
    if (is_chunked)
        write_chunked(&request, path, token, body);
    else
        kv_test_http_write(&request, "PUT", kv_slice_of(path), headers_for(token, ""), body);
    kv_test_stream_open(&stream, port);
    kv_test_stream_put(&stream, kv_buffer_slice(&request));
    assert_true(kv_test_http_receive(&stream, &response));
    kv_test_stream_close(&stream);
    kv_buffer_fini(&request);
    return response.status;
}

static void long_bodies_of_forbidden_keys_are_not_stored(void **state)
{
    char *letters = kv_test_letters('x', LONG_BODY), path[64];
    struct kv_buffer body = {0};
    (void)state;
    kv_buffer_printf(&body, "{\"value\":\"%s\"}", letters);
    for (size_t g = 0; g < N(grantees); g++)
        for (size_t key = 0; key < N(keys); key++)
            for (int i = 0; i < 2; i++) {
                static const struct kind kind = {.name = "set of a long value", .rights = W};
                snprintf(path, sizeof(path), "/storage/%s", keys[key].text);
                assert_int_equal(ask(EVERY, "PUT", path, "", "{\"value\":1}"), 202);
                check_status(&kind, &grantees[g], key, i == 0 ? "HTTP" : "HTTP, in chunks",
                             put_long(grantees[g].token, path, kv_buffer_slice(&body), i != 0));
                assert_int_equal(ask(EVERY, "GET", path, "", NULL), 200);
                bool is_stored = response.body.len > LONG_BODY;
                assert_int_equal(is_stored, is_allowed(&kind, &grantees[g], key));
            }
    kv_buffer_fini(&body);
    free(letters);
}

/* Requests of all grantees to a key, one behind the other without waiting for answers. */
static void ask_in_a_pipeline(const char *path, enum way way, size_t key)
{
    static const struct kind requests[] = {
        {"set", W, "PUT", NULL, NULL, "{\"value\":1}", NULL, false},
        {"get", R, "GET", NULL, NULL, NULL, NULL, false},
        {"increment", R | W, "PATCH", NULL, NULL, "{\"increment\":1}", NULL, false},
        {"set of a long value", W, "PUT", NULL, NULL, NULL, NULL, false},
        {"set", W, "PUT", NULL, NULL, "{\"value\":2}", NULL, false},
        {"list", R, "GET", NULL, NULL, NULL, NULL, false},
        {"delete", W, "DELETE", NULL, NULL, NULL, NULL, false},
    };
    struct kv_buffer out = {0}, body = {0};
    struct kv_test_stream stream;
    char *letters = kv_test_letters('x', LONG_BODY), list[64];
    kv_buffer_printf(&body, "{\"value\":\"%s\"}", letters);
    snprintf(list, sizeof(list), "/storage?prefix=%s", keys[key].text);
    for (size_t r = 0; r < N(requests); r++)
        for (size_t g = 0; g < N(grantees); g++) {
            bool is_long = strstr(requests[r].name, "long") != NULL;
            bool is_list = strcmp(requests[r].name, "list") == 0;
            struct kv_slice sent = requests[r].body != NULL ? kv_slice_of(requests[r].body)
                                   : is_long                ? kv_buffer_slice(&body)
                                                            : (struct kv_slice){0};
            if (is_long && !is_allowed(&requests[r], &grantees[g], key))
                sent = KV_SLICE("{\"value\":3}"); /* a refused long one would end the pipeline */
            kv_test_http_write(&out, requests[r].method, kv_slice_of(is_list ? list : path),
                               headers_by(way, grantees[g].token, ""), sent);
        }
    kv_test_stream_open(&stream, port);
    kv_test_stream_put(&stream, kv_buffer_slice(&out));
    for (size_t r = 0; r < N(requests); r++)
        for (size_t g = 0; g < N(grantees); g++) {
            assert_true(kv_test_http_receive(&stream, &response));
            check_status(&requests[r], &grantees[g], key, "a pipeline", response.status);
            bool may_read =
                (grantees[g].rights & R) != 0 && (keys[key].is_within || grantees[g].is_all);
            if (!may_read) /* what others have written */
                assert_null(memmem(response.body.bytes, response.body.len, "\"value\"", 7));
        }
    kv_test_stream_close(&stream);
    kv_buffer_fini(&out);
    kv_buffer_fini(&body);
    free(letters);
}

static void pipelined_mixes_are_judged_one_by_one(void **state)
{
    (void)state;
    for (size_t key = 0; key < N(keys); key++)
        for (enum way way = BY_FAST_PATH; way < N_WAYS; way++) {
            char path[64];
            snprintf(path, sizeof(path), "/storage/%s", keys[key].text);
            ask_in_a_pipeline(path, way, key);
        }
}

/* ---- operators ---- */

static const struct {
    const char *method, *path, *right;
} operations[] = {
    {"GET", "/metrics", "metrics"},        {"GET", "/admin/backup", "backup"},
    {"GET", "/admin/clients", "clients"},  {"GET", "/admin/slowlog", "slowlog"},
    {"POST", "/admin/restore", "restore"}, {"DELETE", "/admin/restore", "restore"},
    {"GET", "/admin/cluster", "cluster"},
};

static void check_operation(size_t i, const char *token, const char *right)
{
    bool is_metrics = strcmp(operations[i].right, "metrics") == 0;
    const char *body = strcmp(operations[i].method, "PUT") == 0 ? "x" : NULL;
    for (enum way way = BY_FAST_PATH; way < N_WAYS; way++) {
        bool counts = token[0] != '\0' && (way != BY_COOKIE || is_metrics);
        bool is_granted = counts && strcmp(operations[i].right, right) == 0;
        char headers[4096];
        snprintf(headers, sizeof(headers), "%s", headers_by(way, token, ""));
        int status = ask("", operations[i].method, operations[i].path, headers, body);
        if (is_granted ? status == 401 || status == 403 : status != (counts ? 403 : 401))
            fail_msg("%s %s with the right `%s`, by way %d: %d", operations[i].method,
                     operations[i].path, right, (int)way, status);
    }
}

static void operators_paths_need_their_rights(void **state)
{
    static const char *const rights[] = {"metrics", "backup", "clients", "restore", "cluster"};
    (void)state;
    for (size_t i = 0; i < N(operations); i++) {
        for (size_t g = 0; g < N(grantees); g++)
            check_operation(i, grantees[g].token, "");
        check_operation(i, OPERATOR, "slowlog");
        for (size_t right = 0; right < N(rights); right++) {
            char token[64];
            snprintf(token, sizeof(token), "%s-token-1234567890", rights[right]);
            check_operation(i, token, rights[right]);
        }
    }
}

/* ---- hidden information ---- */

static void a_forbidden_key_looks_like_a_missing_one(void **state)
{
    (void)state;
    fill();
    for (size_t k = 0; k < N(kinds); k++) {
        const struct kind *kind = &kinds[k];
        char path[128], there[4096];
        if (kind->method == NULL || strstr(kind->path, "/events") != NULL)
            continue;
        expand(path, sizeof(path), kind->path, "d/there");
        int status = ask(BOTH, kind->method, path, kind->headers, kind->body);
        snprintf(there, sizeof(there), "%s", response.body.bytes);
        assert_null(kv_test_response_header(&response, "etag"));
        expand(path, sizeof(path), kind->path, "d/missing");
        assert_int_equal(ask(BOTH, kind->method, path, kind->headers, kind->body), status);
        assert_string_equal(response.body.bytes, there);
    }
}

/* The answer to a message, without the key. */
static void take_answer(struct kv_slice answer, const char *key, char *to, size_t size)
{
    const char *at = memmem(answer.bytes, answer.len, key, strlen(key));
    int before = at == NULL ? (int)answer.len : (int)(at - answer.bytes);
    int after = at == NULL ? 0 : (int)(answer.len - (size_t)before - strlen(key));
    assert_true(answer.len < size);
    snprintf(to, size, "%.*s%.*s", before, answer.bytes, after, at == NULL ? "" : at + strlen(key));
}

static void ask_by_message(struct kv_test_ws *ws, const struct kind *kind, const char *key,
                           char *to, size_t size)
{
    char text[256];
    struct kv_test_frame frame;
    expand(text, sizeof(text), kind->message, key);
    kv_test_ws_send(ws, kv_slice_of(text));
    assert_true(kv_test_ws_receive(ws, &frame));
    take_answer(frame.payload, key, to, size);
}

static void ask_by_batch(const struct kind *kind, const char *token, const char *key, char *to,
                         size_t size)
{
    char text[256], body[300];
    expand(text, sizeof(text), kind->message, key);
    snprintf(body, sizeof(body), "[%s]", text);
    assert_int_equal(ask(token, "POST", "/batch", "", body), 200);
    take_answer(kv_buffer_slice(&response.body), key, to, size);
}

static void ask_by_http(const struct kind *kind, const char *token, const char *key,
                        const char *more, char *to, size_t size)
{
    char path[128], headers[256];
    expand(path, sizeof(path), kind->path, key);
    snprintf(headers, sizeof(headers), "%s%s", more, kind->headers);
    int status = ask(token, kind->method, path, headers, kind->body);
    snprintf(to, size, "%d %s", status, response.body.bytes);
    assert_null(kv_test_response_header(&response, "etag"));
    assert_null(kv_test_response_header(&response, "kv-ttl"));
}

/* Whether the grantee may learn nothing about existing keys: the command is denied, or is a blind
 * write. */
static bool is_to_be_blind(const struct grantee *grantee, bool is_within)
{
    return !grantee->is_all && !(is_within && (grantee->rights & R) != 0);
}

static void expect_alike(const struct kind *kind, const struct grantee *grantee, const char *way,
                         const char *of_there, const char *of_missing)
{
    if (strcmp(of_there, of_missing) != 0)
        fail_msg("%s by \"%s\" over %s: %s, but of a missing key: %s", kind->name, grantee->token,
                 way, of_there, of_missing);
}

/* There, with a deadline, and missing. */
static void put_pair(const char *there, const char *missing)
{
    char path[64];
    snprintf(path, sizeof(path), "/storage/%s", there);
    assert_int_equal(ask(EVERY, "PUT", path, "", "{\"value\":1,\"ttl\":\"1h\"}"), 202);
    snprintf(path, sizeof(path), "/storage/%s", missing);
    assert_int_equal(ask(EVERY, "DELETE", path, "", NULL), 200);
}

static void compare(const struct kind *kind, const struct grantee *grantee, const char *there,
                    const char *missing)
{
    char of_there[4096], of_missing[4096];
    if (kind->message != NULL) {
        struct kv_test_ws ws;
        open_as(&ws, grantee->token);
        put_pair(there, missing);
        ask_by_message(&ws, kind, there, of_there, sizeof(of_there));
        ask_by_message(&ws, kind, missing, of_missing, sizeof(of_missing));
        kv_test_ws_close(&ws);
        expect_alike(kind, grantee, "a WebSocket", of_there, of_missing);
    }
    if (kind->is_for_batch) {
        put_pair(there, missing);
        ask_by_batch(kind, grantee->token, there, of_there, sizeof(of_there));
        ask_by_batch(kind, grantee->token, missing, of_missing, sizeof(of_missing));
        expect_alike(kind, grantee, "a batch", of_there, of_missing);
    }
    for (int i = 0; i < 2 && kind->method != NULL; i++) {
        const char *more = i == 0 ? "" : ODD_HEADER;
        put_pair(there, missing);
        ask_by_http(kind, grantee->token, there, more, of_there, sizeof(of_there));
        ask_by_http(kind, grantee->token, missing, more, of_missing, sizeof(of_missing));
        expect_alike(kind, grantee, i == 0 ? "the fast path" : "libh2o", of_there, of_missing);
    }
}

static void denied_keys_look_missing_over_every_transport(void **state)
{
    (void)state;
    for (size_t k = 0; k < N(kinds); k++)
        for (size_t g = 0; g < N(grantees); g++) {
            if (is_to_be_blind(&grantees[g], false))
                compare(&kinds[k], &grantees[g], "d/one", "d/two");
            if (is_to_be_blind(&grantees[g], true))
                compare(&kinds[k], &grantees[g], "a/one", "a/two");
        }
}

/* It would tell whether the write before was a change. */
static void expect_hello_without_revision(struct kv_test_ws *ws)
{
    struct kv_test_frame hello;
    assert_true(kv_test_ws_receive(ws, &hello));
    assert_non_null(memmem(hello.payload.bytes, hello.payload.len, "\"epoch\"", 7));
    assert_null(memmem(hello.payload.bytes, hello.payload.len, "\"revision\"", 10));
}

static void denied_reader_learns_nothing_from_a_write(void **state)
{
    struct kv_test_ws ws;
    (void)state;
    fill();
    for (int i = 0; i < 2; i++) {
        const char *more = i == 0 ? "" : ODD_HEADER;
        assert_int_equal(ask(WRITER, "PUT", "/storage/a/there", more, "{\"value\":2}"), 202);
        assert_null(kv_test_response_header(&response, "etag"));
        assert_int_equal(ask(BOTH, "PUT", "/storage/a/there", more, "{\"value\":2}"), 202);
        assert_non_null(kv_test_response_header(&response, "etag"));
    }
    open_as(&ws, WRITER);
    kv_test_ws_send_text(
        &ws, "{\"type\":\"set\",\"id\":7,\"payload\":{\"key\":\"a/there\",\"value\":3}}");
    kv_test_ws_expect(&ws, "{\"type\":\"ok\",\"id\":7,\"payload\":{\"key\":\"a/there\"}}");
    kv_test_ws_send_text(&ws, "{\"type\":\"hello\",\"id\":8}");
    expect_hello_without_revision(&ws);
    kv_test_ws_close(&ws);
    assert_int_equal(ask(WRITER, "POST", "/batch", "", "[{\"type\":\"hello\"}]"), 200);
    kv_test_expect_part(response.body.bytes, "\"epoch\"");
    assert_null(strstr(response.body.bytes, "\"revision\""));
    assert_int_equal(ask(READER, "POST", "/batch", "", "[{\"type\":\"hello\"}]"), 200);
    kv_test_expect_part(response.body.bytes, "\"revision\"");
    assert_int_equal(
        ask(WRITER, "POST", "/batch", "",
            "[{\"type\":\"set\",\"id\":7,\"payload\":{\"key\":\"a/there\",\"value\":3}}]"),
        200);
    assert_string_equal(response.body.bytes,
                        "[{\"type\":\"ok\",\"id\":7,\"payload\":{\"key\":\"a/there\"}}]");
}

static void batch_items_are_authorized_separately(void **state)
{
    (void)state;
    fill();
    assert_int_equal(ask(READER, "POST", "/batch", "",
                         "[{\"type\":\"get\",\"payload\":{\"key\":\"a/there\"}},"
                         "{\"type\":\"set\",\"payload\":{\"key\":\"a/there\",\"value\":9}},"
                         "{\"type\":\"get\",\"payload\":{\"key\":\"a/there\"}}]"),
                     200);
    assert_string_equal(
        response.body.bytes,
        "[{\"type\":\"value\",\"payload\":{\"key\":\"a/there\",\"value\":1}},"
        "{\"type\":\"error\",\"payload\":\"the right `write` is needed for this key, and is "
        "granted for none\"},"
        "{\"type\":\"value\",\"payload\":{\"key\":\"a/there\",\"value\":1}}]");
}

/* ---- refusals before the body ---- */

/* Sends a head that announces a body, without the body. Returns: the status. */
static int ask_without_body(const char *token, const char *method, const char *path,
                            const char *more)
{
    struct kv_test_stream stream;
    struct kv_buffer request = {0};
    kv_test_stream_open(&stream, port);
    kv_buffer_printf(&request, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", method, path,
                     headers_for(token, more));
    kv_test_stream_put(&stream, kv_buffer_slice(&request));
    assert_true(kv_test_http_receive(&stream, &response));
    kv_buffer_append_char(&response.body, '\0');
    if (response.status >= 400)
        kv_test_stream_await_end(&stream);
    kv_buffer_fini(&request);
    kv_test_stream_close(&stream);
    return response.status;
}

static void refused_request_need_not_send_its_body(void **state)
{
    static const char *const framings[] = {"Content-Length: 100000000\r\n",
                                           "Transfer-Encoding: chunked\r\n",
                                           "Content-Length: 10\r\nExpect: 100-continue\r\n"};
    (void)state;
    for (size_t i = 0; i < N(framings); i++) {
        const char *more = framings[i];
        assert_int_equal(ask_without_body("", "PUT", "/storage/a/x", more), 401);
        assert_int_equal(ask_without_body("wrong", "PUT", "/storage/a/x", more), 401);
        assert_int_equal(ask_without_body(READER, "PUT", "/storage/a/x", more), 403);
        kv_test_expect_part(response.body.bytes, "the right `write` is needed");
        assert_int_equal(ask_without_body(WRITER, "PATCH", "/storage/a/x", more), 403);
        assert_int_equal(ask_without_body(BOTH, "PUT", "/storage/b/x", more), 403);
        assert_int_equal(ask_without_body(NOTHING, "POST", "/batch", more), 403);
        assert_int_equal(ask_without_body(BOTH, "PUT", "/elsewhere", more), 404);
        assert_int_equal(ask_without_body("", "GET", "/healthz", more), 200);
    }
    assert_int_equal(ask_without_body(WRITER, "PUT", "/storage/a/x", framings[2]), 100);
}

/* The head was checked before; the complete request decides. */
static void a_late_body_is_accepted(void **state)
{
    struct kv_test_stream stream;
    struct kv_buffer request = {0};
    (void)state;
    kv_test_stream_open(&stream, port);
    for (int i = 0; i < 2; i++) {
        request.len = 0;
        kv_buffer_printf(&request,
                         "PUT /storage/a/late HTTP/1.1\r\nHost: localhost\r\n%s"
                         "Content-Length: 11\r\nExpect: 100-continue\r\n\r\n",
                         headers_for(BOTH, ""));
        kv_test_stream_put(&stream, kv_buffer_slice(&request));
        assert_true(kv_test_http_receive(&stream, &response));
        assert_int_equal(response.status, 100);
        kv_test_stream_put(&stream, KV_SLICE("{\"value\":7}"));
        assert_true(kv_test_http_receive(&stream, &response));
        assert_int_equal(response.status, 202);
    }
    assert_int_equal(ask(BOTH, "GET", "/storage/a/late", "", NULL), 200);
    assert_string_equal(response.body.bytes, "{\"value\":7}");
    kv_buffer_fini(&request);
    kv_test_stream_close(&stream);
}

static void a_refusal_names_the_missing_right(void **state)
{
    static const struct {
        const char *token, *method, *headers, *body, *error;
    } cases[] = {
        {WRITER, "GET", "", NULL,
         "the right `read` is needed for this key, and is granted for none"},
        {READER, "PUT", "", "{\"value\":1}",
         "the right `write` is needed for this key, and is granted for none"},
        {WRITER, "PUT", "If-Match: *\r\n", "{\"value\":1}",
         "the right `read` is needed for this key, and is granted for none"},
        {OTHER, "PATCH", "", "{\"increment\":1}",
         "the right `read` is needed for this key, and is granted for \\\"b/\\\", \\\"c/1/\\\"; "
         "the right `write` is needed for this key, and is granted for \\\"b/\\\""},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++)
        for (int way = 0; way < 2; way++) {
            char headers[128], body[512];
            snprintf(headers, sizeof(headers), "%s%s", way == 0 ? "" : ODD_HEADER,
                     cases[i].headers);
            snprintf(body, sizeof(body), "{\"error\":\"%s\"}", cases[i].error);
            assert_int_equal(
                ask(cases[i].token, cases[i].method, "/storage/a/there", headers, cases[i].body),
                403);
            assert_string_equal(response.body.bytes, body);
        }
}

/* ---- lists ---- */

/* Walks all pages. Returns: the keys and prefixes, each followed by a blank. */
static const char *walk(const char *token, const char *query)
{
    static char found[1024];
    char path[512], cursor[256] = "";
    found[0] = '\0';
    do {
        snprintf(path, sizeof(path), "/storage?%s%s%s", query,
                 cursor[0] == '\0' ? "" : "&cursor=", cursor);
        assert_int_equal(ask(token, "GET", path, "", NULL), 200);
        const char *at = response.body.bytes;
        while ((at = strstr(at, "{\"key\":\"")) != NULL) {
            at += 8;
            snprintf(found + strlen(found), sizeof(found) - strlen(found), "%.*s ",
                     (int)strcspn(at, "\""), at);
        }
        at = strstr(response.body.bytes, "\"prefixes\":[");
        if (at != NULL)
            snprintf(found + strlen(found), sizeof(found) - strlen(found), "[%.*s] ",
                     (int)strcspn(at + 12, "]"), at + 12);
        at = strstr(response.body.bytes, "\"cursor\":\"");
        snprintf(cursor, sizeof(cursor), "%.*s", at == NULL ? 0 : (int)strcspn(at + 10, "\""),
                 at == NULL ? "" : at + 10);
    } while (cursor[0] != '\0');
    return found;
}

/* The complete list in byte order; a store without order may mix the prefixes' keys. */
static void a_list_of_everything_contains_only_granted_keys(void **state)
{
    static const char *const paths[] = {"b/1", "b/2", "b0", "c/1/x", "c/1/y", "c/10", "c/2/x"};
    (void)state;
    for (size_t i = 0; i < N(paths); i++) {
        char path[64];
        snprintf(path, sizeof(path), "/storage/%s", paths[i]);
        assert_int_equal(ask(EVERY, "PUT", path, "", "{\"value\":1}"), 202);
    }
    assert_string_equal(walk(OTHER, "limit=100"), "b/1 b/2 c/1/x c/1/y ");
    assert_string_equal(walk(OTHER, "limit=1"), "b/1 b/2 c/1/x c/1/y ");
    assert_string_equal(walk(OTHER, "limit=2&prefix="), "b/1 b/2 c/1/x c/1/y ");
    assert_string_equal(walk(OTHER, "limit=3&values=true"), "b/1 b/2 c/1/x c/1/y ");
    assert_int_equal(ask(OTHER, "GET", "/storage?count=true", "", NULL), 200);
    assert_string_equal(response.body.bytes, "{\"count\":4}");
    assert_int_equal(ask(NOTHING, "GET", "/storage?count=true", "", NULL), 403);
}

static void folders_of_granted_keys_are_listed_once(void **state)
{
    const char *store = getenv("KV_TEST_STORE");
    (void)state;
    assert_int_equal(ask(EVERY, "PUT", "/storage/b/1", "", "{\"value\":1}"), 202);
    assert_int_equal(ask(EVERY, "PUT", "/storage/c/1/x", "", "{\"value\":1}"), 202);
    assert_int_equal(ask(EVERY, "PUT", "/storage/c/2/x", "", "{\"value\":1}"), 202);
    (void)store;
    assert_string_equal(walk(OTHER, "delimiter=/"), "[\"b/\",\"c/\"] ");
    assert_string_equal(walk(OTHER, "delimiter=/&limit=1"), "[\"b/\"] [\"c/\"] ");
}

static void a_refused_list_names_the_granted_prefixes(void **state)
{
    (void)state;
    assert_int_equal(ask(OTHER, "GET", "/storage?prefix=c/", "", NULL), 403);
    assert_string_equal(response.body.bytes,
                        "{\"error\":\"the prefix must lie within one that is granted: \\\"b/\\\", "
                        "\\\"c/1/\\\"\"}");
    assert_int_equal(ask(OTHER, "GET", "/events?prefix=c/", "", NULL), 403);
    kv_test_expect_part(response.body.bytes, "\\\"b/\\\", \\\"c/1/\\\"");
}

static void a_cursor_leads_only_to_granted_keys(void **state)
{
    char cursor[256], path[512];
    (void)state;
    fill();
    assert_int_equal(ask(EVERY, "GET", "/storage?limit=1", "", NULL), 200);
    const char *at = strstr(response.body.bytes, "\"cursor\":\"");
    assert_non_null(at);
    snprintf(cursor, sizeof(cursor), "%.*s", (int)strcspn(at + 10, "\""), at + 10);
    snprintf(path, sizeof(path), "/storage?cursor=%s", cursor);
    if (ask(BOTH, "GET", path, "", NULL) == 200)
        assert_null(strstr(response.body.bytes, "d/there"));
    else
        kv_test_expect_part(response.body.bytes, "cursor");
}

/* Owns: the caller. */
static struct kv_buffer decode(const char *cursor)
{
    struct kv_buffer text = {0}, bytes = {0};
    for (size_t i = 0; cursor[i] != '\0'; i++)
        kv_buffer_append_char(&text, cursor[i] == '-' ? '+' : cursor[i] == '_' ? '/' : cursor[i]);
    while (text.len % 4 != 0)
        kv_buffer_append_char(&text, '=');
    kv_buffer_reserve(&bytes, text.len);
    int len =
        EVP_DecodeBlock((unsigned char *)bytes.bytes, (unsigned char *)text.bytes, (int)text.len);
    assert_true(len > 0);
    bytes.len = (size_t)len;
    kv_buffer_fini(&text);
    return bytes;
}

static void expect_no_forbidden_key(const char *cursor)
{
    static const char *const forbidden[] = {"a/there", "b0", "c/10", "c/2", "d/there"};
    struct kv_buffer bytes = decode(cursor);
    for (size_t i = 0; i < N(forbidden); i++) /* decode() returns bytes.
            NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
        assert_null(memmem(bytes.bytes, bytes.len, forbidden[i], strlen(forbidden[i])));
    kv_buffer_fini(&bytes);
}

/* A client can decode its cursors. */
static void a_cursor_contains_no_forbidden_key(void **state)
{
    static const char *const paths[] = {"b/1", "b/2", "b0", "c/1/x", "c/1/y", "c/10", "c/2/x"};
    static const char *const queries[] = {"limit=1", "limit=2", "limit=3", "limit=1&delimiter=/"};
    char path[512], cursor[256];
    (void)state;
    fill();
    for (size_t i = 0; i < N(paths); i++) {
        snprintf(path, sizeof(path), "/storage/%s", paths[i]);
        assert_int_equal(ask(EVERY, "PUT", path, "", "{\"value\":1}"), 202);
    }
    for (size_t i = 0; i < N(queries); i++) {
        int n = 0;
        for (cursor[0] = '\0'; n == 0 || cursor[0] != '\0'; n++) {
            snprintf(path, sizeof(path), "/storage?%s%s%s", queries[i],
                     n == 0 ? "" : "&cursor=", cursor);
            assert_int_equal(ask(OTHER, "GET", path, "", NULL), 200);
            const char *at = strstr(response.body.bytes, "\"cursor\":\"");
            snprintf(cursor, sizeof(cursor), "%.*s", at == NULL ? 0 : (int)strcspn(at + 10, "\""),
                     at == NULL ? "" : at + 10);
            if (cursor[0] != '\0')
                expect_no_forbidden_key(cursor);
        }
        assert_true(n > 1); /* there was a cursor */
    }
}

/* ---- credentials over HTTP ---- */

static void open_keys_need_no_token(void **state)
{
    static const char *const paths[] = {"/healthz", "/readyz", "/", "/openapi.yaml",
                                        "/asyncapi.yaml"};
    (void)state;
    for (size_t i = 0; i < N(paths); i++)
        assert_int_equal(ask("", "GET", paths[i], "", NULL), 200);
    assert_int_equal(
        ask("", "OPTIONS", "/storage/a/x", "Origin: https://app.example.org\r\n", NULL), 204);
    kv_test_expect_part(kv_test_response_header(&response, "access-control-allow-headers"),
                        "Authorization");
    assert_int_equal(ask("", "GET", "/storage/public/x", "", NULL), 200);
}

static void a_challenge_contains_the_error(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *more = i == 0 ? "" : ODD_HEADER;
        assert_int_equal(ask("", "GET", "/storage/a/x", more, NULL), 401);
        assert_string_equal(kv_test_response_header(&response, "www-authenticate"), "Bearer");
        assert_int_equal(ask("wrong", "GET", "/storage/public/x", more, NULL), 401);
        assert_string_equal(kv_test_response_header(&response, "www-authenticate"),
                            "Bearer error=\"invalid_token\"");
        assert_int_equal(ask(READER, "PUT", "/storage/a/x", more, "{\"value\":1}"), 403);
        assert_null(kv_test_response_header(&response, "www-authenticate"));
    }
}

static void malformed_credentials_are_refused(void **state)
{
    (void)state;
    assert_int_equal(ask("", "GET", "/storage/public/x", "Authorization: Basic YTpi\r\n", NULL),
                     401);
    assert_int_equal(ask("", "GET", "/storage/public/x", "Authorization: Bearer\r\n", NULL), 401);
    assert_int_equal(ask("", "GET", "/storage/public/x", "Authorization: Bearer a b\r\n", NULL),
                     401);
    assert_int_equal(ask("", "GET", "/storage/a/x", "authorization: bearer " EVERY "\r\n", NULL),
                     204);
    assert_int_equal(ask(EVERY, "GET", "/storage/a/x", "Authorization: Bearer " EVERY "\r\n", NULL),
                     400);
}

static void each_request_of_a_connection_has_its_own_token(void **state)
{
    static const struct {
        const char *token;
        int status;
    } turns[] = {{EVERY, 200}, {"", 401},   {EVERY, 200}, {"wrong", 401}, {OTHER, 403},
                 {BOTH, 200},  {BOTH, 200}, {"", 401},    {OTHER, 403},   {EVERY, 200}};
    struct kv_test_stream stream;
    (void)state;
    fill();
    for (int way = 0; way < 2; way++) {
        kv_test_stream_open(&stream, port);
        for (size_t i = 0; i < N(turns); i++) {
            const char *headers = headers_for(turns[i].token, way == 0 ? "" : ODD_HEADER);
            assert_int_equal(
                kv_test_http_ask(&stream, "GET", "/storage/a/there", headers, NULL, &response),
                turns[i].status);
        }
        kv_test_stream_close(&stream);
    }
}

static void pipelined_requests_keep_their_tokens(void **state)
{
    static const struct {
        const char *token;
        int status;
    } turns[] = {{EVERY, 200},  {EVERY, 200},   {OTHER, 403},   {OTHER, 403},  {EVERY, 200},
                 {EVERY, 200},  {"", 401},      {"", 401},      {READER, 200}, {READER, 200},
                 {WRITER, 403}, {"wrong", 401}, {"wrong", 401}, {READER, 200}, {READER, 200}};
    struct kv_test_stream stream;
    struct kv_buffer requests = {0};
    (void)state;
    fill();
    for (size_t i = 0; i < N(turns); i++)
        kv_test_http_write(&requests, "GET", KV_SLICE("/storage/a/there"),
                           headers_for(turns[i].token, ""), (struct kv_slice){0});
    kv_test_stream_open(&stream, port);
    kv_test_stream_put(&stream, kv_buffer_slice(&requests));
    kv_test_stream_flush(&stream);
    for (size_t i = 0; i < N(turns); i++) {
        assert_true(kv_test_http_receive(&stream, &response));
        assert_int_equal(response.status, turns[i].status);
    }
    kv_buffer_fini(&requests);
    kv_test_stream_close(&stream);
}

static void a_cookie_counts_only_from_known_pages(void **state)
{
    (void)state;
    fill();
#define COOKIE "Cookie: x=1; kvtoken=" BOTH "\r\n"
#define PATH   "/storage/a/there"
    assert_int_equal(ask("", "GET", PATH, COOKIE "Origin: https://app.example.org\r\n", NULL), 200);
    assert_string_equal(kv_test_response_header(&response, "access-control-allow-credentials"),
                        "true");
    assert_int_equal(ask("", "GET", PATH, COOKIE "Origin: https://a.pages.example.org\r\n", NULL),
                     200);
    assert_int_equal(ask("", "GET", PATH, COOKIE "Sec-Fetch-Site: same-origin\r\n", NULL), 200);
    assert_int_equal(ask("", "GET", PATH, COOKIE "Sec-Fetch-Site: cross-site\r\n", NULL), 401);
    assert_int_equal(ask("", "GET", PATH, COOKIE, NULL), 401);
    assert_int_equal(ask("", "GET", PATH, COOKIE "Origin: https://evil.example.com\r\n", NULL),
                     401);
    assert_null(kv_test_response_header(&response, "access-control-allow-credentials"));
    assert_int_equal(ask("", "GET", PATH, COOKIE "Origin: http://localhost:80\r\n", NULL), 401);
    assert_int_equal(ask("", "GET", "/storage/public/x",
                         "Cookie: kvtoken=wrong\r\nSec-Fetch-Site: same-origin\r\n", NULL),
                     401);
    assert_int_equal(ask("wrong", "GET", PATH, COOKIE "Sec-Fetch-Site: same-origin\r\n", NULL),
                     401);
    assert_int_equal(ask(OTHER, "GET", PATH, COOKIE "Sec-Fetch-Site: same-origin\r\n", NULL), 403);
}

static void a_cookie_never_counts_for_operators(void **state)
{
    static const char headers[] = "Cookie: kvtoken=" OPERATOR "\r\nSec-Fetch-Site: same-origin\r\n";
    (void)state;
    assert_int_equal(ask("", "GET", "/admin/slowlog", headers, NULL), 401);
    assert_int_equal(ask(OPERATOR, "GET", "/admin/slowlog", "", NULL), 200);
}

/* ---- WebSockets ---- */

/* base64url of BOTH. */
#define CODED "Ym90aC10b2tlbi0xMjM0NTY3ODkw"

static int upgrade_status(const char *headers)
{
    char all[1024];
    snprintf(all, sizeof(all), "%s%s", KV_TEST_WS_UPGRADE, headers);
    return ask("", "GET", "/ws", all, NULL);
}

static void a_subprotocol_may_hold_the_token(void **state)
{
    struct kv_test_ws ws;
    (void)state;
    fill();
    kv_test_ws_open_with(&ws, port,
                         "Sec-WebSocket-Protocol: kvserver.v1, kvserver.bearer." CODED "\r\n");
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"payload\":{\"key\":\"a/there\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"a/there\",\"value\":1}}");
    kv_test_ws_close(&ws);
    assert_int_equal(upgrade_status("Sec-WebSocket-Protocol: kvserver.bearer." CODED "x\r\n"), 401);
    assert_int_equal(upgrade_status("Sec-WebSocket-Protocol: kvserver.bearer.\r\n"), 401);
    assert_int_equal(upgrade_status("Sec-WebSocket-Protocol: kvserver.bearer." CODED
                                    "\r\nAuthorization: Bearer " EVERY "\r\n"),
                     400);
}

static void auth_gives_an_identity_and_keeps_it(void **state)
{
    struct kv_test_ws ws;
    (void)state;
    fill();
    open_as(&ws, "");
    kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"id\":1,\"payload\":{\"key\":\"a/there\"}}");
    kv_test_ws_expect_error(&ws, "1");
    kv_test_ws_send_text(&ws, "{\"type\":\"auth\",\"id\":2,\"payload\":{\"token\":\"" BOTH "\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"ok\",\"id\":2,\"payload\":{}}");
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"id\":3,\"payload\":{\"prefix\":\"a/\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"ok\",\"id\":3,\"payload\":{\"prefix\":\"a/\"}}");
    kv_test_ws_send_text(&ws, "{\"type\":\"auth\",\"id\":4,\"payload\":{\"token\":\"" BOTH "\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"ok\",\"id\":4,\"payload\":{}}");
    assert_int_equal(ask(BOTH, "PUT", "/storage/a/new", "", "{\"value\":5}"), 202);
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"a/new\",\"value\":5}}");
    kv_test_ws_close(&ws);
}

/* All of them come in one piece, so that the first waits for its turn when the second is read. */
static void a_subscription_that_was_ended_before_an_auth_is_not_ended_by_it(void **state)
{
    struct kv_test_ws ws;
    (void)state;
    fill();
    open_as(&ws, BOTH);
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"prefix\":\"a/\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"ok\",\"id\":1,\"payload\":{\"prefix\":\"a/\"}}");
    kv_test_ws_put_text(&ws, "{\"type\":\"unsubscribe\",\"id\":2,\"payload\":{\"prefix\":\"a/\"}}");
    kv_test_ws_put_text(&ws, "{\"type\":\"auth\",\"id\":3,\"payload\":{\"token\":\"wrong\"}}");
    kv_test_ws_put_text(&ws, "{\"type\":\"auth\",\"id\":4,\"payload\":{\"token\":\"" BOTH "\"}}");
    kv_test_stream_flush(&ws.stream);
    kv_test_ws_expect(&ws, "{\"type\":\"ok\",\"id\":2,\"payload\":{\"prefix\":\"a/\"}}");
    kv_test_ws_expect_error(&ws, "3");
    kv_test_ws_expect(&ws, "{\"type\":\"ok\",\"id\":4,\"payload\":{}}");
    kv_test_ws_close(&ws);
}

static void a_failed_auth_revokes_all_rights(void **state)
{
    static const char *const bad[] = {"wrong", EVERY};
    (void)state;
    fill();
    for (size_t i = 0; i < N(bad); i++) {
        struct kv_test_ws ws;
        open_as(&ws, BOTH);
        kv_test_ws_send_text(&ws,
                             "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"key\":\"a/there\"}}");
        kv_test_ws_expect(&ws, "{\"type\":\"ok\",\"id\":1,\"payload\":{\"key\":\"a/there\"}}");
        kv_test_ws_send_text(&ws, "{\"type\":\"auth\",\"id\":2,\"payload\":{\"token\":\"%s\"}}",
                             bad[i]);
        kv_test_ws_expect_error(&ws, "2");
        kv_test_ws_expect(
            &ws, "{\"type\":\"ended\",\"payload\":{\"key\":\"a/there\",\"error\":\"the right "
                 "to do this has not been granted\",\"status\":403}}");
        assert_int_equal(ask(BOTH, "PUT", "/storage/a/there", "", "{\"value\":6}"), 202);
        kv_test_ws_send_text(&ws, "{\"type\":\"get\",\"id\":3,\"payload\":{\"key\":\"public/x\"}}");
        kv_test_ws_expect_error(&ws, "3");
        kv_test_ws_expect_closed(&ws, 3000);
        kv_test_ws_close(&ws);
    }
}

static void leases_end_when_their_right_is_revoked(void **state)
{
    struct kv_test_ws ws, watcher;
    (void)state;
    open_as(&watcher, EVERY);
    open_as(&ws, BOTH);
    kv_test_ws_send_text(&ws,
                         "{\"type\":\"set\",\"id\":1,\"payload\":{\"key\":\"a/lease\",\"value\":1,"
                         "\"ttl\":\"1h\",\"while_connected\":true}}");
    kv_test_ws_expect_ok(&ws, "1", "\"a/lease\"");
    kv_test_ws_send_text(&watcher,
                         "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"key\":\"a/lease\"}}");
    kv_test_ws_expect_ok(&watcher, "1", "\"a/lease\"");
    kv_test_ws_send_text(&ws, "{\"type\":\"auth\",\"id\":2,\"payload\":{\"token\":\"wrong\"}}");
    kv_test_ws_expect_error(&ws, "2");
    kv_test_ws_expect(&watcher, "{\"type\":\"no-value\",\"payload\":{\"key\":\"a/lease\"}}");
    kv_test_ws_close(&ws);
    kv_test_ws_close(&watcher);
}

static void without_rights_a_connection_has_little_time(void **state)
{
    struct kv_test_ws ws;
    (void)state;
    open_as(&ws, NOTHING);
    kv_test_ws_send_text(&ws, "{\"type\":\"hello\",\"id\":1}");
    kv_test_ws_expect_error(&ws, "1");
    kv_test_ws_expect_closed(&ws, 3000);
    kv_test_ws_close(&ws);
    open_as(&ws, NOTHING);
    char *long_token = kv_test_letters('a', 17 << 10);
    kv_test_ws_send_text(&ws, "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\"}}", long_token);
    kv_test_ws_expect_closed(&ws, 1009);
    kv_test_ws_close(&ws);
    free(long_token);
}

/* ---- other rules ---- */

static struct kv_test_server server;

static void rewrite(const char *from, const char *to)
{
    struct kv_buffer text = {0};
    char *before = kv_test_program_read(&server.program, "kvserver.yaml");
    char *at = strstr(before, from);
    assert_non_null(at);
    kv_buffer_append(&text, (struct kv_slice){before, (size_t)(at - before)});
    kv_buffer_append(&text, kv_slice_of(to));
    kv_buffer_append(&text, kv_slice_of(at + strlen(from)));
    kv_buffer_append_char(&text, '\0');
    kv_test_file_put(server.program.folder, "kvserver.yaml", text.bytes);
    kv_buffer_fini(&text);
    free(before);
    assert_int_equal(kill(server.program.pid, SIGHUP), 0);
}

static void start_own(void)
{
    kv_test_start(&server, ACCESS);
    port = server.port;
    fill();
}

static void stop_own(void **state)
{
    kv_test_server_stop_cleanly(&server);
    port = kv_test_port(state);
}

static void subscribe(struct kv_test_ws *ws, const char *token, const char *prefix)
{
    open_as(ws, token);
    kv_test_ws_send_text(ws, "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"prefix\":\"%s\"}}",
                         prefix);
    kv_test_ws_expect(ws, "{\"type\":\"ok\",\"id\":1,\"payload\":{\"prefix\":\"%s\"}}", prefix);
}

/* Each loop takes up the rules by itself: one may still have the old ones for a moment. */
static void await_refusal(struct kv_test_stream *stream, const char *token)
{
    int64_t until_ms = kv_test_now_ms() + KV_TEST_LIMIT_MS;
    int status = 200;
    while (status == 200 && kv_test_now_ms() < until_ms)
        status = kv_test_http_ask(stream, "GET", "/storage/a/there", headers_for(token, ""), NULL,
                                  &response);
    assert_int_equal(status, 401);
}

static void a_removed_token_is_no_longer_valid(void **state)
{
    struct kv_test_ws ws, other;
    struct kv_test_stream events, held;
    start_own();
    subscribe(&ws, BOTH, "a/");
    subscribe(&other, EVERY, "a/");
    kv_test_stream_open(&held, port);
    assert_int_equal(
        kv_test_http_ask(&held, "GET", "/storage/a/there", headers_for(BOTH, ""), NULL, &response),
        200);
    struct kv_buffer request = {0};
    kv_test_stream_open(&events, port);
    kv_test_http_write(&request, "GET", KV_SLICE("/events?prefix=a/"), headers_for(BOTH, ""),
                       (struct kv_slice){0});
    kv_test_stream_put(&events, kv_buffer_slice(&request));
    kv_test_stream_flush(&events);
    assert_true(kv_test_stream_await(&events, 20));
    rewrite(DIGEST_OF_BOTH, "0000000000000000000000000000000000000000000000000000000000000000");
    kv_test_ws_expect_closed(&ws, 3000);
    kv_test_stream_await_end(&events);
    struct kv_slice sent = kv_test_stream_unread(&events);
    assert_non_null(memmem(sent.bytes, sent.len, "event: unauthorized\n", 20));
    await_refusal(&held, BOTH);
    assert_int_equal(ask(EVERY, "PUT", "/storage/a/new", "", "{\"value\":7}"), 202);
    kv_test_ws_expect(&other, "{\"type\":\"value\",\"payload\":{\"key\":\"a/new\",\"value\":7}}");
    kv_buffer_fini(&request);
    kv_test_ws_close(&ws);
    kv_test_ws_close(&other);
    kv_test_stream_close(&events);
    kv_test_stream_close(&held);
    stop_own(state);
}

static void subscriptions_end_when_their_grant_is_removed(void **state)
{
    struct kv_test_ws ws;
    start_own();
    subscribe(&ws, OTHER, "b/");
    kv_test_ws_send_text(&ws,
                         "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"prefix\":\"c/1/\"}}");
    kv_test_ws_expect(&ws, "{\"type\":\"ok\",\"id\":1,\"payload\":{\"prefix\":\"c/1/\"}}");
    rewrite("read: [b/, c/1/]", "read: [b/]");
    kv_test_ws_expect(
        &ws, "{\"type\":\"ended\",\"payload\":{\"prefix\":\"c/1/\",\"error\":\"the right to do "
             "this has not been granted\",\"status\":403}}");
    assert_int_equal(ask(EVERY, "PUT", "/storage/c/1/x", "", "{\"value\":8}"), 202);
    assert_int_equal(ask(EVERY, "PUT", "/storage/b/x", "", "{\"value\":9}"), 202);
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"b/x\",\"value\":9}}");
    kv_test_ws_close(&ws);
    stop_own(state);
}

static void a_broken_file_changes_nothing(void **state)
{
    struct kv_test_ws ws;
    start_own();
    subscribe(&ws, BOTH, "a/");
    rewrite(DIGEST_OF_BOTH, "0123");
    kv_test_await_log(&server, "access.tokens[2].sha256: 64 hexadecimal digits are expected");
    kv_test_await_log(&server, "keeping the old configuration");
    assert_int_equal(ask(BOTH, "PUT", "/storage/a/new", "", "{\"value\":7}"), 202);
    kv_test_ws_expect(&ws, "{\"type\":\"value\",\"payload\":{\"key\":\"a/new\",\"value\":7}}");
    kv_test_ws_close(&ws);
    stop_own(state);
}

static void an_empty_block_denies_everything(void **state)
{
    start_own();
    rewrite("access:\n", "access:\nelsewhere:\n");
    kv_test_await_log(&server, "access: it is empty: write {} to let nobody in");
    assert_int_equal(ask(NOTHING, "GET", "/storage/a/there", "", NULL), 403);
    stop_own(state);
}

/* Address settings in the file take effect at the next start. */
#define OF_EVERYTHING                                                                              \
    "access: {tokens: [{name: both, read: [''], write: [''], sha256: " DIGEST_OF_BOTH "}]}\n"

static void rules_do_not_change_to_none_without_a_restart(void **state)
{
    char *yaml = kv_test_with_modules("listen: [{port: %port}]\n" OF_EVERYTHING);
    kv_test_server_start(&server, yaml);
    free(yaml);
    port = server.port;
    assert_int_equal(kv_test_http_status(port, "GET", "/storage/a/there", NULL, NULL), 401);
    rewrite(OF_EVERYTHING, "");
    kv_test_await_log(&server, "`access` is gone: its rules are kept; restart to apply");
    assert_int_equal(kv_test_http_status(port, "GET", "/storage/a/there", NULL, NULL), 401);
    stop_own(state);
}

static void a_server_that_others_reach_keeps_its_rules(void **state)
{
    char *yaml = kv_test_with_modules("listen: [{host: 0.0.0.0, port: %port}]\n" OF_EVERYTHING);
    kv_test_server_start(&server, yaml);
    free(yaml);
    port = server.port;
    rewrite("0.0.0.0", "127.0.0.1");
    kv_test_await_log(&server, "`access` applied");
    rewrite(OF_EVERYTHING, "");
    kv_test_await_log(&server, "`access` is gone");
    assert_int_equal(kv_test_http_status(port, "GET", "/storage/a/there", NULL, NULL), 401);
    stop_own(state);
}

/* ---- the configuration ---- */

static void check(const char *yaml, bool is_valid, const char *message)
{
    struct kv_test_outcome outcome;
    char *whole = kv_test_with_modules(yaml);
    kv_test_program_run_with_file("--check-config", whole, &outcome);
    assert_int_equal(outcome.exit_code == 0, is_valid);
    kv_test_expect_part(outcome.err, message);
    kv_test_outcome_fini(&outcome);
    free(whole);
}

static void an_empty_variable_does_not_grant_every_key(void **state)
{
    (void)state;
    check("access: {anonymous: {read: ['${KV_NO_SUCH_VARIABLE:-}']}}\n", false,
          ":1:29: access.anonymous.read[0]: ${KV_NO_SUCH_VARIABLE:-} is empty, and an empty prefix "
          "is every key");
    check("access:\n  tokens:\n    - {name: a, sha256: " DIGEST_OF_BOTH
          ", write: ['x/', '${KV_NO_SUCH_VARIABLE:-}']}\n",
          false, "access.tokens[0].write[1]: ${KV_NO_SUCH_VARIABLE:-} is empty");
}

static void unquoted_prefixes_are_reported(void **state)
{
    (void)state;
    check("access: {anonymous: {read: [*]}}\n", false,
          ":1:29: a text that begins with * or & needs");
    check("access:\n  anonymous:\n    read:\n    - *\n", false, "begins with * or & needs quotes");
    check("access: {anonymous: {read: [user/{sub}/]}}\n", false,
          "a text with { in it needs quotes");
}

static void an_authorization_needs_its_scheme(void **state)
{
    static const char *const headers[] = {"Authorization: " BOTH "\r\n",
                                          "Authorization: Basic YTpi\r\n",
                                          "Authorization: Bearer\r\n"};
    (void)state;
    for (size_t i = 0; i < N(headers); i++) {
        assert_int_equal(ask("", "GET", "/storage/a/there", headers[i], NULL), 401);
        assert_string_equal(response.body.bytes, "{\"error\":\"the token is expected as "
                                                 "`Authorization: Bearer TOKEN`\"}");
    }
}

static void prefixes_that_look_like_patterns_or_paths_cause_a_warning(void **state)
{
    static const struct {
        const char *prefix, *message;
    } cases[] = {
        {"*", ":1:29: access.anonymous.read[0]: \"*\": a prefix is no pattern"},
        {"public/*", "\"public/*\": a prefix is no pattern"},
        {"/storage/public/", "without the /storage/"},
        {"https://a.example/", "not of URLs"},
        {"/public/", "without a leading slash"},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        char yaml[128];
        snprintf(yaml, sizeof(yaml), "access: {anonymous: {read: ['%s']}}\n", cases[i].prefix);
        check(yaml, true, cases[i].message);
    }
}

/* ---- hooks, and the log ---- */

static void start_with_hook(const char *folder, const char *lua)
{
    kv_test_file_put(folder, "hook.lua", lua);
    kv_test_start_in(&server, folder, ACCESS "scripts: [{file: '%s/hook.lua'}]\n");
    port = server.port;
}

static void hooks_receive_the_name_of_the_client(void **state)
{
    char *folder = kv_test_folder_make();
    start_with_hook(folder, "function before_set(key, value)\n"
                            "  local who = kv.caller()\n"
                            "  if key == 'b/of-hook' then return who.script end\n"
                            "  kv.set('b/of-hook', 1)\n"
                            "  return {name = who.name, address = who.address}\n"
                            "end\n");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            ask(BOTH, "PUT", "/storage/a/who", i == 0 ? "" : ODD_HEADER, "{\"value\":1}"), 202);
        assert_int_equal(ask(EVERY, "GET", "/storage/a/who", "", NULL), 200);
        assert_string_equal(response.body.bytes,
                            "{\"value\":{\"address\":\"127.0.0.1\",\"name\":\"both\"}}");
    }
    assert_int_equal(ask(EVERY, "GET", "/storage/b/of-hook", "", NULL), 200);
    assert_string_equal(response.body.bytes, "{\"value\":\"script/hook.lua\"}");
    stop_own(state);
    kv_test_folder_remove(folder);
    free(folder);
}

static void a_hook_chooses_how_it_refuses(void **state)
{
    char *folder = kv_test_folder_make();
    start_with_hook(folder, "function before_set(key)\n"
                            "  if key == 'a/slow' then\n"
                            "    kv.refuse('slowly', {status = 429, retry_after = '1500ms'})\n"
                            "  end\n"
                            "  kv.refuse('no', {status = 422})\n"
                            "end\n");
    for (int i = 0; i < 2; i++) {
        const char *more = i == 0 ? "" : ODD_HEADER;
        assert_int_equal(ask(BOTH, "PUT", "/storage/a/slow", more, "{\"value\":1}"), 429);
        assert_string_equal(kv_test_response_header(&response, "retry-after"), "2");
        assert_string_equal(response.body.bytes, "{\"error\":\"slowly\"}");
        assert_int_equal(ask(BOTH, "PUT", "/storage/a/x", more, "{\"value\":1}"), 422);
        assert_null(kv_test_response_header(&response, "retry-after"));
    }
    stop_own(state);
    kv_test_folder_remove(folder);
    free(folder);
}

static void the_log_names_the_missing_right(void **state)
{
    static const char *const more[] = {"If-None-Match: *\r\n", "If-None-Match: *\r\n" ODD_HEADER};
    static const char line[] =
        "writer may not set \"a/%zu\": the right `read` is not granted for it";
    start_own();
    for (size_t i = 0; i < 2; i++) {
        char path[32], text[128];
        snprintf(path, sizeof(path), "/storage/a/%zu", i);
        snprintf(text, sizeof(text), line, i);
        assert_int_equal(ask(WRITER, "PUT", path, more[i], "{\"value\":1}"), 403);
        kv_test_await_log(&server, text);
    }
    assert_int_equal(ask(READER, "PATCH", "/storage/b/x", "", "{\"increment\":1}"), 403);
    kv_test_await_log(
        &server, "reader may not update \"b/x\": the rights `read` and `write` are not granted "
                 "for it");
    stop_own(state);
}

#define DENIED "anonymous from 127.0.0.1 may not get \"a/x\": a token is needed for this"

static void denials_are_logged_without_tokens(void **state)
{
    start_own();
    assert_int_equal(ask(READER, "PUT", "/storage/a/x", "", "{\"value\":1}"), 403);
    kv_test_await_log(&server,
                      "reader may not set \"a/x\": the right `write` is not granted for it");
    assert_int_equal(ask("wrong-token", "GET", "/storage/a/x", "", NULL), 401);
    kv_test_await_log(&server, "http: a token was refused, from 127.0.0.1: ");
    for (int i = 0; i < 200; i++)
        assert_int_equal(ask("", "GET", "/storage/a/x", "", NULL), 401);
    kv_test_await_log(&server, DENIED);
    char *log = kv_test_server_log(&server);
    int n = 0;
    for (const char *at = log; (at = strstr(at, DENIED)) != NULL; at++)
        n++;
    assert_in_range(n, 1, 100);
    assert_null(strstr(log, "wrong-token"));
    assert_null(strstr(log, READER));
    free(log);
    stop_own(state);
}

static int group_start(void **state)
{
    int failed = kv_test_group_start_with(state, ACCESS);
    port = kv_test_port(state);
    make_tokens();
    return failed;
}

static int group_stop(void **state)
{
    kv_test_response_fini(&response);
    free_tokens();
    return kv_test_group_stop(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_command_needs_its_rights_by_every_way_in),
        cmocka_unit_test(long_bodies_of_forbidden_keys_are_not_stored),
        cmocka_unit_test(pipelined_mixes_are_judged_one_by_one),
        cmocka_unit_test(operators_paths_need_their_rights),
        cmocka_unit_test(a_forbidden_key_looks_like_a_missing_one),
        cmocka_unit_test(denied_keys_look_missing_over_every_transport),
        cmocka_unit_test(denied_reader_learns_nothing_from_a_write),
        cmocka_unit_test(batch_items_are_authorized_separately),
        cmocka_unit_test(refused_request_need_not_send_its_body),
        cmocka_unit_test(a_late_body_is_accepted),
        cmocka_unit_test(a_refusal_names_the_missing_right),
        cmocka_unit_test(a_list_of_everything_contains_only_granted_keys),
        cmocka_unit_test(folders_of_granted_keys_are_listed_once),
        cmocka_unit_test(a_refused_list_names_the_granted_prefixes),
        cmocka_unit_test(a_cursor_leads_only_to_granted_keys),
        cmocka_unit_test(a_cursor_contains_no_forbidden_key),
        cmocka_unit_test(open_keys_need_no_token),
        cmocka_unit_test(a_challenge_contains_the_error),
        cmocka_unit_test(malformed_credentials_are_refused),
        cmocka_unit_test(each_request_of_a_connection_has_its_own_token),
        cmocka_unit_test(pipelined_requests_keep_their_tokens),
        cmocka_unit_test(a_cookie_counts_only_from_known_pages),
        cmocka_unit_test(a_cookie_never_counts_for_operators),
        cmocka_unit_test(a_subprotocol_may_hold_the_token),
        cmocka_unit_test(auth_gives_an_identity_and_keeps_it),
        cmocka_unit_test(a_subscription_that_was_ended_before_an_auth_is_not_ended_by_it),
        cmocka_unit_test(a_failed_auth_revokes_all_rights),
        cmocka_unit_test(leases_end_when_their_right_is_revoked),
        cmocka_unit_test(without_rights_a_connection_has_little_time),
        cmocka_unit_test(a_removed_token_is_no_longer_valid),
        cmocka_unit_test(subscriptions_end_when_their_grant_is_removed),
        cmocka_unit_test(a_broken_file_changes_nothing),
        cmocka_unit_test(an_empty_block_denies_everything),
        cmocka_unit_test(rules_do_not_change_to_none_without_a_restart),
        cmocka_unit_test(a_server_that_others_reach_keeps_its_rules),
        cmocka_unit_test(an_empty_variable_does_not_grant_every_key),
        cmocka_unit_test(unquoted_prefixes_are_reported),
        cmocka_unit_test(an_authorization_needs_its_scheme),
        cmocka_unit_test(prefixes_that_look_like_patterns_or_paths_cause_a_warning),
        cmocka_unit_test(hooks_receive_the_name_of_the_client),
        cmocka_unit_test(a_hook_chooses_how_it_refuses),
        cmocka_unit_test(the_log_names_the_missing_right),
        cmocka_unit_test(denials_are_logged_without_tokens),
    };
    return cmocka_run_group_tests(tests, group_start, group_stop);
}
