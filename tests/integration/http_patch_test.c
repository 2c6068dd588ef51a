/* `PATCH /storage/:key`: touches, increments and merge patches, and refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))
#define MERGE    "Content-Type: application/merge-patch+json\r\n"

static struct kv_test_stream stream;
static struct kv_test_response response;

static int open_stream(void **state)
{
    kv_test_stream_open(&stream, kv_test_port(state));
    return 0;
}

static int close_stream(void **state)
{
    (void)state;
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    return 0;
}

static int ask(const char *method, const char *key, const char *headers, const char *body)
{
    char path[256];
    snprintf(path, sizeof(path), "/storage/%s", key);
    return kv_test_http_ask(&stream, method, path, headers, body, &response);
}

/* The status and the whole body. */
#define expect_patched(key, headers, body, status, text)                                           \
    expect_patched_at(key, headers, body, status, text, __LINE__)

static void expect_patched_at(const char *key, const char *headers, const char *body, int status,
                              const char *text, int line)
{
    int came = ask("PATCH", key, headers, body);
    if (came != status || !kv_slice_equals(kv_buffer_slice(&response.body), kv_slice_of(text)))
        fail_msg("line %d: %s of %s: %d %.*s", line, body, key, came, (int)response.body.len,
                 response.body.bytes);
}

static void copy_etag(char etag[64])
{
    snprintf(etag, 64, "%s", kv_test_response_header(&response, "etag"));
}

static long ttl_of(const char *key)
{
    assert_int_equal(ask("GET", key, NULL, NULL), 200);
    const char *ttl = kv_test_response_header(&response, "KV-TTL");
    return ttl == NULL ? 0 : atol(ttl);
}

/* ---- touches ---- */

static void a_touch_sets_only_the_ttl(void **state)
{
    char before[64], after[64];
    (void)state;
    assert_int_equal(ask("POST", "touch", NULL, "{\"value\":[ 1 ]}"), 202);
    copy_etag(before);
    expect_patched("touch", NULL, "{\"ttl\":\"1h\"}", 202, "");
    copy_etag(after);
    assert_string_equal(before, after);
    assert_in_range(ttl_of("touch"), 3500000, 3600000);
    kv_test_expect_value(kv_test_port(state), "touch", "[ 1 ]");
    expect_patched("touch", NULL, "{\"ttl\":0}", 202, "");
    assert_int_equal(ttl_of("touch"), 0);
}

static void a_touch_of_a_missing_key_is_404(void **state)
{
    (void)state;
    expect_patched("touch-none", NULL, "{\"ttl\":1000}", 404,
                   "{\"error\":\"the key has no value\"}");
    kv_test_expect_missing(kv_test_port(state), "touch-none");
}

/* ---- increments ---- */

static void an_increment_adds_to_the_present_integer(void **state)
{
    char etag[64];
    kv_test_store(kv_test_port(state), "count", "40");
    expect_patched("count", NULL, "{\"increment\":2}", 200, "{\"value\":42}");
    copy_etag(etag);
    assert_int_equal(ask("GET", "count", NULL, NULL), 200);
    assert_string_equal(kv_test_response_header(&response, "etag"), etag);
    expect_patched("count", NULL, "{\"increment\":-50}", 200, "{\"value\":-8}");
    expect_patched("count", NULL, "{\"increment\":0}", 200, "{\"value\":-8}");
    kv_test_expect_value(kv_test_port(state), "count", "-8");
}

static void a_missing_key_is_0_and_gets_the_ttl(void **state)
{
    (void)state;
    expect_patched("count-new", NULL, "{\"increment\":5,\"ttl\":\"1h\"}", 200, "{\"value\":5}");
    assert_in_range(ttl_of("count-new"), 3500000, 3600000);
    expect_patched("count-new", NULL, "{\"increment\":1,\"ttl\":\"2h\"}", 200, "{\"value\":6}");
    assert_in_range(ttl_of("count-new"), 3500000, 3600000);
    expect_patched("count-new", NULL, "{\"increment\":1}", 200, "{\"value\":7}");
    assert_in_range(ttl_of("count-new"), 3500000, 3600000);
}

static void increment_of_a_non_integer_is_refused(void **state)
{
    static const char *const values[] = {"1.0", "1e2",  "-",  "\"1\"",
                                         "[]",  "null", "01", "9223372036854775808"};
    for (size_t i = 0; i < N(values); i++) {
        if (i == 2 || i == 6)
            continue; /* no JSON */
        kv_test_store(kv_test_port(state), "text", values[i]);
        expect_patched("text", NULL, "{\"increment\":1}", 409,
                       "{\"error\":\"the value must be an integer between -2^63+1 and 2^63-1\"}");
        kv_test_expect_value(kv_test_port(state), "text", values[i]);
    }
    kv_test_store(kv_test_port(state), "full", "9223372036854775807");
    expect_patched("full", NULL, "{\"increment\":1}", 409,
                   "{\"error\":\"the sum must be between -2^63+1 and 2^63-1\"}");
    expect_patched("full", NULL, "{\"increment\":-1}", 200, "{\"value\":9223372036854775806}");
}

/* ---- merge patches ---- */

static void a_merge_patch_keeps_other_members(void **state)
{
    kv_test_store(kv_test_port(state), "doc", "{ \"a\" : 1.0 , \"b\": { \"c\": [ 1 ] } }");
    expect_patched("doc", MERGE, "{\"b\":{\"d\":null,\"e\":2}, \"f\":null}", 200,
                   "{\"value\":{ \"a\" : 1.0 , \"b\": { \"c\": [ 1 ] ,\"e\":2} }}");
    kv_test_expect_value(kv_test_port(state), "doc",
                         "{ \"a\" : 1.0 , \"b\": { \"c\": [ 1 ] ,\"e\":2} }");
    expect_patched("doc", "content-type: Application/Merge-Patch+JSON; charset=utf-8\r\n", "[1]",
                   200, "{\"value\":[1]}");
}

static void a_merge_patch_makes_a_missing_key(void **state)
{
    (void)state;
    expect_patched("doc-new", MERGE, "{\"a\":{\"b\":null}}", 200, "{\"value\":{\"a\":{}}}");
    expect_patched("doc-none", MERGE "If-Match: *\r\n", "{\"a\":1}", 412,
                   "{\"error\":\"the condition does not hold\"}");
    kv_test_expect_missing(kv_test_port(state), "doc-none");
}

static void a_merge_keeps_the_deadline(void **state)
{
    (void)state;
    assert_int_equal(ask("POST", "doc-ttl", NULL, "{\"value\":{},\"ttl\":\"1h\"}"), 202);
    expect_patched("doc-ttl", MERGE, "{\"a\":1}", 200, "{\"value\":{\"a\":1}}");
    assert_in_range(ttl_of("doc-ttl"), 3500000, 3600000);
}

static void a_patch_that_changes_no_byte_is_no_change(void **state)
{
    char before[64], after[64];
    struct kv_test_ws ws;
    assert_int_equal(ask("POST", "same", NULL, "{\"value\":{\"a\": 1}}"), 202);
    copy_etag(before);
    kv_test_ws_open(&ws, kv_test_port(state));
    kv_test_ws_send_text(&ws, "{\"type\":\"subscribe\",\"id\":1,\"payload\":{\"key\":\"same\"}}");
    kv_test_ws_expect_ok(&ws, "1", "\"same\"");
    expect_patched("same", MERGE, "{\"a\":1,\"b\":null}", 200, "{\"value\":{\"a\": 1}}");
    copy_etag(after);
    assert_string_equal(before, after);
    kv_test_ws_expect_nothing(&ws);
    kv_test_ws_close(&ws);
}

static void a_long_value_is_merged_too(void **state)
{
    enum {
        LONG = 3 << 20
    };
    char *letters = kv_test_letters('x', LONG), *body = malloc(LONG + 100);
    (void)state;
    sprintf(body, "{\"value\":{\"long\":\"%s\",\"n\":1}}", letters);
    assert_int_equal(ask("POST", "long", NULL, body), 202);
    assert_int_equal(ask("PATCH", "long", MERGE, "{\"n\":2}"), 200);
    assert_int_equal(response.body.len, strlen(body));
    sprintf(body, "{\"long\":\"%s\",\"m\":3}", letters);
    assert_int_equal(ask("PATCH", "long", MERGE, body), 200);
    kv_buffer_append_char(&response.body, '\0');
    kv_test_expect_part(response.body.bytes + LONG, "\",\"n\":2,\"m\":3}}");
    free(letters);
    free(body);
}

/* ---- conditions ---- */

static void conditions_hold_for_all_of_them(void **state)
{
    static const struct {
        const char *headers, *body;
    } patches[] = {{"", "{\"ttl\":\"1h\"}"}, {"", "{\"increment\":1}"}, {MERGE, "{\"a\":1}"}};
    char headers[256], etag[64];
    for (size_t i = 0; i < N(patches); i++) {
        kv_test_store(kv_test_port(state), "cond", "1");
        assert_int_equal(ask("GET", "cond", NULL, NULL), 200);
        copy_etag(etag);
        snprintf(headers, sizeof(headers), "%sIf-Match: \"1\"\r\n", patches[i].headers);
        assert_int_equal(ask("PATCH", "cond", headers, patches[i].body), 412);
        snprintf(headers, sizeof(headers), "%sIf-None-Match: *\r\n", patches[i].headers);
        assert_int_equal(ask("PATCH", "cond", headers, patches[i].body), 412);
        kv_test_expect_value(kv_test_port(state), "cond", "1");
        assert_int_equal(ttl_of("cond"), 0);
        snprintf(headers, sizeof(headers), "%sIf-Match: %s\r\n", patches[i].headers, etag);
        assert_true(ask("PATCH", "cond", headers, patches[i].body) < 300);
    }
}

/* ---- refusals ---- */

static void a_bad_body_is_refused_and_changes_nothing(void **state)
{
    static const char *const bodies[] = {
        "",
        "[]",
        "{}",
        "{\"value\":1}",
        "{\"increment\":1.5}",
        "{\"increment\":\"1\"}",
        "{\"increment\":9223372036854775808}",
        "{\"ttl\":-1}",
        "{\"ttl\":null}",
        "{\"increment\":1,\"ttl\":\"soon\"}",
        "{\"increment\":1",
    };
    kv_test_store(kv_test_port(state), "bad", "1");
    for (size_t i = 0; i < N(bodies); i++)
        if (ask("PATCH", "bad", NULL, bodies[i]) != 400)
            fail_msg("%s: %d", bodies[i], response.status);
    assert_int_equal(ask("PATCH", "bad", MERGE, "{\"a\":"), 400);
    assert_int_equal(ask("PATCH", "bad", MERGE, ""), 400);
    kv_test_expect_value(kv_test_port(state), "bad", "1");
    expect_patched(
        "bad", NULL, "{\"increment\":1e3}", 400,
        "{\"error\":\"\\\"increment\\\" must be an integer between -2^63+1 and 2^63-1, not "
        "1e3\"}");
    expect_patched(
        "bad", NULL, "{}", 400,
        "{\"error\":\"the body must be {\\\"ttl\\\": \xe2\x80\xa6} or {\\\"increment\\\": "
        "\xe2\x80\xa6, \\\"ttl\\\"?: \xe2\x80\xa6}; to merge it into the value, send it as "
        "Content-Type: application/merge-patch+json\"}");
    expect_patched(
        "bad", NULL, "[1]", 400,
        "{\"error\":\"the body must be {\\\"ttl\\\": \xe2\x80\xa6} or {\\\"increment\\\": "
        "\xe2\x80\xa6, \\\"ttl\\\"?: \xe2\x80\xa6}, not an array; to merge it into the "
        "value, send it as Content-Type: application/merge-patch+json\"}");
}

static void pages_may_patch_where_they_may_write(void **state)
{
    (void)state;
    assert_int_equal(ask("OPTIONS", "k",
                         "Origin: http://localhost:1\r\n"
                         "Access-Control-Request-Method: PATCH\r\n",
                         NULL),
                     204);
    kv_test_expect_part(kv_test_response_header(&response, "access-control-allow-methods"),
                        "PATCH");
    assert_int_equal(ask("PATCH", "k", "Origin: https://evil.example\r\n", "{\"increment\":1}"),
                     403);
    kv_test_expect_missing(kv_test_port(state), "k");
}

#define PATCH_TEST(name) cmocka_unit_test_setup_teardown(name, open_stream, close_stream)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PATCH_TEST(a_touch_sets_only_the_ttl),
        PATCH_TEST(a_touch_of_a_missing_key_is_404),
        PATCH_TEST(an_increment_adds_to_the_present_integer),
        PATCH_TEST(a_missing_key_is_0_and_gets_the_ttl),
        PATCH_TEST(increment_of_a_non_integer_is_refused),
        PATCH_TEST(a_merge_patch_keeps_other_members),
        PATCH_TEST(a_merge_patch_makes_a_missing_key),
        PATCH_TEST(a_merge_keeps_the_deadline),
        PATCH_TEST(a_patch_that_changes_no_byte_is_no_change),
        PATCH_TEST(a_long_value_is_merged_too),
        PATCH_TEST(conditions_hold_for_all_of_them),
        PATCH_TEST(a_bad_body_is_refused_and_changes_nothing),
        PATCH_TEST(pages_may_patch_where_they_may_write),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
