/* `/storage/:key`: a value is read exactly as it was written, under exactly the intended key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void posted_value_comes_back_byte_for_byte(void **state)
{
    static const char *const values[] = {
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1.10",
        "1e400",
        "-1E-400",
        "12345678901234567890",
        "0.1000000000000000055511151231257827",
        "\"\"",
        "\"text\"",
        "\"\\u0041\\/\\n\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"\xd0\xba\xd0\xbb\xf0\x9f\x98\x80\"",
        "[]",
        "{}",
        "[ 1 ,\t2,\n3\r\n]",
        "{\"a\":1,\"a\":2}",
        "{\"b\":1, \"a\" : {\"value\":3,\"ttl\":\"soon\"}}",
        "{\"\\u0061\":1}",
        "{\"\":{\"\":[[[]]]}}",
    };
    for (size_t i = 0; i < N(values); i++) {
        kv_test_store(kv_test_port(state), "bytes", values[i]);
        kv_test_expect_value(kv_test_port(state), "bytes", values[i]);
    }
}

static void white_space_around_a_value_is_not_kept(void **state)
{
    assert_int_equal(kv_test_http_status(kv_test_port(state), "POST", "/storage/space", NULL,
                                         "\r\n{ \"value\" :\t [ 1 ] \n, \"x\": 2 } "),
                     202);
    kv_test_expect_value(kv_test_port(state), "space", "[ 1 ]");
}

static void get_of_missing_key_is_204_without_body(void **state)
{
    kv_test_expect_missing(kv_test_port(state), "never-written");
}

static void get_is_application_json(void **state)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_store(kv_test_port(state), "typed", "1");
    kv_test_stream_open(&stream, kv_test_port(state));
    kv_test_http_ask(&stream, "GET", "/storage/typed", NULL, NULL, &response);
    const char *type = kv_test_response_header(&response, "content-type");
    assert_non_null(type);
    assert_int_equal(strncmp(type, "application/json", 16), 0);
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void answer_to_a_write_is_empty_with_its_length(void **state)
{
    static const struct {
        const char *method, *body;
        int status;
    } writes[] = {
        {"POST", "{\"value\":1}", 202}, {"PUT", "{\"value\":2}", 202}, {"DELETE", NULL, 200}};
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, kv_test_port(state));
    for (size_t i = 0; i < N(writes); i++) {
        int status = kv_test_http_ask(&stream, writes[i].method, "/storage/empty-answer", NULL,
                                      writes[i].body, &response);
        assert_int_equal(status, writes[i].status);
        assert_string_equal(kv_test_response_header(&response, "content-length"), "0");
    }
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void put_is_post(void **state)
{
    assert_int_equal(
        kv_test_http_status(kv_test_port(state), "PUT", "/storage/put", NULL, "{\"value\":[1]}"),
        202);
    kv_test_expect_value(kv_test_port(state), "put", "[1]");
}

static void delete_is_200_even_if_the_key_was_missing(void **state)
{
    kv_test_store(kv_test_port(state), "gone", "1");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            kv_test_http_status(kv_test_port(state), "DELETE", "/storage/gone", NULL, NULL), 200);
        kv_test_expect_missing(kv_test_port(state), "gone");
    }
}

static void last_write_counts(void **state)
{
    kv_test_store(kv_test_port(state), "again", "1");
    kv_test_store(kv_test_port(state), "again", "\"two\"");
    kv_test_expect_value(kv_test_port(state), "again", "\"two\"");
}

/* A body that is refused, with a test that it changed nothing and that the connection lives. */
static void expect_refused_body(uint16_t port, struct kv_slice body)
{
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_store(port, "kept", "\"as it was\"");
    kv_test_stream_open(&stream, port);
    kv_test_http_exchange(&stream, "POST", KV_SLICE("/storage/kept"), NULL, body, &response);
    if (response.status != 400)
        print_error("the body: %.*s\n", (int)body.len, body.bytes);
    assert_int_equal(response.status, 400);
    assert_true(kv_slice_has_prefix(kv_buffer_slice(&response.body), KV_SLICE("{\"error\":")));
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/storage/kept", NULL, NULL, &response), 200);
    assert_true(kv_test_is_value_body(kv_buffer_slice(&response.body), KV_SLICE("\"as it was\"")));
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void invalid_body_is_400_and_changes_nothing(void **state)
{
    static const char *const bodies[] = {
        "",
        " ",
        "null",
        "1",
        "\"value\"",
        "[{\"value\":1}]",
        "{}",
        "{\"valuE\":1}",
        "{\"value\"}",
        "{\"value\":}",
        "{\"value\":1",
        "{\"value\":1}}",
        "{\"value\":1,}",
        "{value:1}",
        "{'value':1}",
        "{\"value\":01}",
        "{\"value\":+1}",
        "{\"value\":1.}",
        "{\"value\":.5}",
        "{\"value\":1e}",
        "{\"value\":NaN}",
        "{\"value\":nul}",
        "{\"value\":\"\\x\"}",
        "{\"value\":\"\\u12\"}",
        "{\"value\":\"\n\"}",
        "{\"value\":[1,]}",
        "{\"value\":1} x",
        "/**/{\"value\":1}",
    };
    for (size_t i = 0; i < N(bodies); i++)
        expect_refused_body(kv_test_port(state), kv_slice_of(bodies[i]));
}

static void body_of_another_type_is_refused_with_both_types(void **state)
{
#define SHAPE "the body must be {\\\"value\\\": \xe2\x80\xa6, \\\"ttl\\\"?: \xe2\x80\xa6}"
    static const struct {
        const char *body, *error;
    } cases[] = {
        {"", SHAPE ", not empty"},
        {"null", SHAPE ", not null"},
        {"17", SHAPE ", not a number"},
        {" \"text\" ", SHAPE ", not a string"},
        {"[{\"value\":1}]", SHAPE ", not an array"},
        {"hello", SHAPE "; bad JSON at byte 0: "},
        {"value=1", SHAPE "; bad JSON at byte 0: "},
        {"{\"val\":1}", SHAPE "; \\\"value\\\" is missing"},
        {"{'value':1}", "bad JSON at byte 1: "},
    };
#undef SHAPE
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, kv_test_port(state));
    for (size_t i = 0; i < N(cases); i++) {
        struct kv_buffer expected = {0};
        kv_buffer_printf(&expected, "{\"error\":\"%s", cases[i].error);
        kv_test_http_ask(&stream, "POST", "/storage/k", NULL, cases[i].body, &response);
        assert_int_equal(response.status, 400);
        if (!kv_slice_has_prefix(kv_buffer_slice(&response.body), kv_buffer_slice(&expected)))
            fail_msg("%s is answered %.*s", cases[i].body, (int)response.body.len,
                     response.body.bytes);
        kv_buffer_fini(&expected);
    }
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void byte_order_mark_and_bad_utf8_are_400(void **state)
{
    static const struct kv_slice bodies[] = {
        {"\xef\xbb\xbf{\"value\":1}", 14},
        {"{\"value\":\"\xff\"}", 13},
        {"{\"value\":\"\xc0\x80\"}", 14},
        {"{\"value\":\"\xed\xa0\x80\"}", 15},
        {"{\"value\":\"\xf4\x90\x80\x80\"}", 16},
        {"{\"\xe2\x82\":1,\"value\":1}", 18},
        {"{\"value\":\"\0\"}", 13},
    };
    for (size_t i = 0; i < N(bodies); i++)
        expect_refused_body(kv_test_port(state), bodies[i]);
}

static void invalid_ttl_is_400_and_changes_nothing(void **state)
{
    static const char *const ttls[] = {
        "-1",
        "-0.5",
        "null",
        "true",
        "[]",
        "{}",
        "\"\"",
        "\" 1s\"",
        "\"soon\"",
        "\"-1s\"",
        "\"1e3\"",
        "\"1.s\"",
        "\"1 fortnight\"",
        "\"1s 5\"",
        "\"1..5s\"",
        "9007199254740992",
        "1e400",
        "\"9007199254740992\"",
        "\"300000 years\"",
    };
    for (size_t i = 0; i < N(ttls); i++) {
        struct kv_buffer body = {0};
        kv_buffer_printf(&body, "{\"value\":2,\"ttl\":%s}", ttls[i]);
        expect_refused_body(kv_test_port(state), kv_buffer_slice(&body));
        kv_buffer_fini(&body);
    }
}

static void the_last_of_duplicate_members_counts(void **state)
{
    assert_int_equal(kv_test_http_status(kv_test_port(state), "POST", "/storage/twice", NULL,
                                         "{\"ttl\":\"soon\",\"value\":1,\"ttl\":0,\"value\":2}"),
                     202);
    kv_test_expect_value(kv_test_port(state), "twice", "2");
}

static void member_names_compare_after_unescaping(void **state)
{
    assert_int_equal(kv_test_http_status(kv_test_port(state), "POST", "/storage/escaped", NULL,
                                         "{\"\\u0076alu\\u0065\":7,\"other\":{\"value\":8}}"),
                     202);
    kv_test_expect_value(kv_test_port(state), "escaped", "7");
}

static void content_type_is_ignored(void **state)
{
    static const char *const types[] = {"Content-Type: text/plain\r\n",
                                        "Content-Type: application/x-www-form-urlencoded\r\n",
                                        "Content-Type: nonsense\r\n", NULL};
    for (size_t i = 0; i < N(types); i++)
        assert_int_equal(kv_test_http_status(kv_test_port(state), "POST", "/storage/content-type",
                                             types[i], "{\"value\":1}"),
                         202);
}

static void key_is_the_decoded_rest_of_the_path(void **state)
{
    static const struct {
        const char *written, *read;
    } paths[] = {
        {"a%2Fb", "a/b"},
        {"a%2fb%3F", "%61/%62%3f"},
        {"..", "%2e%2E"},
        {"d/../e", "d%2f..%2Fe"},
        {"f//g", "f%2F/g"},
        {"%2F%2F", "//"},
        {"plus+plus", "plus%2Bplus"},
        {"nul%00nul", "%6eul%00nul"},
        {"\xd0\xba\xd0\xbb", "%D0%BA%d0%bb"},
        {"query?a=b", "query?c=d&e"},
        {"%C3%A9", "\xc3\xa9"},
        {"percent%25", "percent%25?"},
        {"h/", "h%2f"},
        {";semi:colon@&=$,!~*'()", "%3Bsemi%3Acolon%40%26%3D%24%2C%21%7E%2A%27%28%29"},
    };
    for (size_t i = 0; i < N(paths); i++) {
        char value[16];
        snprintf(value, sizeof(value), "%zu", i);
        kv_test_store(kv_test_port(state), paths[i].written, value);
        kv_test_expect_value(kv_test_port(state), paths[i].read, value);
    }
}

static void different_bytes_are_different_keys(void **state)
{
    static const char *const paths[] = {
        "k",    "K",      "k/",      "/k",  "k%20",  "k+",   "k.",         "k/.",         "./k",
        "k%00", "%C3%A9", "e%CC%81", "%25", "%2525", "k%3F", "%EF%BB%BFk", "%F0%9F%98%80"};
    for (size_t i = 0; i < N(paths); i++) {
        char value[16];
        snprintf(value, sizeof(value), "%zu", i);
        kv_test_store(kv_test_port(state), paths[i], value);
    }
    for (size_t i = 0; i < N(paths); i++) {
        char value[16];
        snprintf(value, sizeof(value), "%zu", i);
        kv_test_expect_value(kv_test_port(state), paths[i], value);
    }
}

static void storage_with_slash_alone_is_the_empty_key(void **state)
{
    kv_test_store(kv_test_port(state), "", "\"of the empty key\"");
    kv_test_expect_value(kv_test_port(state), "?query", "\"of the empty key\"");
}

static void broken_escape_or_bad_utf8_in_the_path_is_400(void **state)
{
    static const char *const paths[] = {"%",         "a%4",    "%zz",  "%4g",
                                        "%%41",      "%u0041", "%ff",  "%c0%80",
                                        "%ed%a0%80", "%e2%82", "\xff", "%f4%90%80%80"};
    static const char *const methods[] = {"GET", "POST", "DELETE"};
    struct kv_test_stream stream;
    struct kv_test_response response = {0};
    kv_test_stream_open(&stream, kv_test_port(state));
    for (size_t i = 0; i < N(paths) * N(methods); i++) {
        struct kv_buffer path = {0};
        kv_buffer_printf(&path, "/storage/%s", paths[i / N(methods)]);
        const char *method = methods[i % N(methods)];
        struct kv_slice body = {0};
        if (strcmp(method, "POST") == 0)
            body = KV_SLICE("{\"value\":1}");
        kv_test_http_exchange(&stream, method, kv_buffer_slice(&path), NULL, body, &response);
        assert_int_equal(response.status, 400);
        assert_true(kv_slice_has_prefix(kv_buffer_slice(&response.body), KV_SLICE("{\"error\":")));
        kv_buffer_fini(&path);
    }
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
}

static void key_of_100_kb_fits_into_a_path(void **state)
{
    char *key = kv_test_letters('k', 100000);
    kv_test_store(kv_test_port(state), key, "1");
    kv_test_expect_value(kv_test_port(state), key, "1");
    key[99999] = 'l';
    kv_test_expect_missing(kv_test_port(state), key);
    free(key);
}

static void key_of_100_kb_fits_into_a_path_with_every_byte_escaped(void **state)
{
    struct kv_buffer escaped = {0};
    for (int i = 0; i < 100000; i++)
        kv_buffer_append(&escaped, KV_SLICE("%65"));
    kv_buffer_append_char(&escaped, '\0');
    char *plain = kv_test_letters('e', 100000);
    kv_test_store(kv_test_port(state), escaped.bytes, "\"escaped\"");
    kv_test_expect_value(kv_test_port(state), plain, "\"escaped\"");
    free(plain);
    kv_buffer_fini(&escaped);
}

static void value_of_64_mib_comes_back_byte_for_byte(void **state)
{
    char *value = kv_test_letters('v', 64 << 20);
    value[0] = '"';
    value[(64 << 20) - 1] = '"';
    kv_test_store(kv_test_port(state), "large", value);
    kv_test_expect_value(kv_test_port(state), "large", value);
    assert_int_equal(
        kv_test_http_status(kv_test_port(state), "DELETE", "/storage/large", NULL, NULL), 200);
    free(value);
}

static void nesting_of_a_thousand_levels_is_kept_and_of_1100_refused(void **state)
{
    struct kv_buffer value = {0};
    for (int i = 0; i < 1100; i++)
        kv_buffer_append_char(&value, i < 1000 ? '[' : ']');
    for (int i = 0; i < 900; i++)
        kv_buffer_append_char(&value, ']');
    kv_buffer_append_char(&value, '\0');
    kv_test_store(kv_test_port(state), "deep", value.bytes);
    kv_test_expect_value(kv_test_port(state), "deep", value.bytes);
    kv_buffer_fini(&value);

    struct kv_buffer body = {0};
    kv_buffer_printf(&body, "{\"value\":");
    for (int i = 0; i < 2200; i++)
        kv_buffer_append_char(&body, i < 1100 ? '[' : ']');
    kv_buffer_append_char(&body, '}');
    expect_refused_body(kv_test_port(state), kv_buffer_slice(&body));
    kv_buffer_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posted_value_comes_back_byte_for_byte),
        cmocka_unit_test(white_space_around_a_value_is_not_kept),
        cmocka_unit_test(get_of_missing_key_is_204_without_body),
        cmocka_unit_test(get_is_application_json),
        cmocka_unit_test(answer_to_a_write_is_empty_with_its_length),
        cmocka_unit_test(put_is_post),
        cmocka_unit_test(delete_is_200_even_if_the_key_was_missing),
        cmocka_unit_test(last_write_counts),
        cmocka_unit_test(invalid_body_is_400_and_changes_nothing),
        cmocka_unit_test(body_of_another_type_is_refused_with_both_types),
        cmocka_unit_test(byte_order_mark_and_bad_utf8_are_400),
        cmocka_unit_test(invalid_ttl_is_400_and_changes_nothing),
        cmocka_unit_test(the_last_of_duplicate_members_counts),
        cmocka_unit_test(member_names_compare_after_unescaping),
        cmocka_unit_test(content_type_is_ignored),
        cmocka_unit_test(key_is_the_decoded_rest_of_the_path),
        cmocka_unit_test(different_bytes_are_different_keys),
        cmocka_unit_test(storage_with_slash_alone_is_the_empty_key),
        cmocka_unit_test(broken_escape_or_bad_utf8_in_the_path_is_400),
        cmocka_unit_test(key_of_100_kb_fits_into_a_path),
        cmocka_unit_test(key_of_100_kb_fits_into_a_path_with_every_byte_escaped),
        cmocka_unit_test(value_of_64_mib_comes_back_byte_for_byte),
        cmocka_unit_test(nesting_of_a_thousand_levels_is_kept_and_of_1100_refused),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
