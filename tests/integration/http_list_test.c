/* `GET /storage`: which keys a page has, how pages follow each other, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "fixture.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

enum {
    MOST_KEYS = 2048
};

static struct kv_test_stream stream;
static struct kv_test_response response;

/* The contents of all pages of a listing together. */
static struct {
    char *keys[MOST_KEYS];
    size_t n_keys;
    char *prefixes[MOST_KEYS];
    size_t n_prefixes;
    size_t n_pages;
    size_t longest_page; /* keys and prefixes */
} walk;

static int open_stream(void **state)
{
    kv_test_stream_open(&stream, kv_test_port(state));
    return 0;
}

static int close_stream(void **state)
{
    (void)state;
    for (size_t i = 0; i < walk.n_keys; i++)
        free(walk.keys[i]);
    for (size_t i = 0; i < walk.n_prefixes; i++)
        free(walk.prefixes[i]);
    memset(&walk, 0, sizeof(walk));
    kv_test_response_fini(&response);
    kv_test_stream_close(&stream);
    return 0;
}

/* Owns: the caller, by json_decref(). */
static json_t *ask(const char *query)
{
    char path[4096];
    snprintf(path, sizeof(path), "/storage?%s", query);
    int status = kv_test_http_ask(&stream, "GET", path, NULL, NULL, &response);
    if (status != 200)
        fail_msg("%s: %d %.*s", query, status, (int)response.body.len, response.body.bytes);
    assert_string_equal(kv_test_response_header(&response, "content-type"), "application/json");
    assert_string_equal(kv_test_response_header(&response, "cache-control"), "no-cache");
    json_t *page = json_loadb(response.body.bytes, response.body.len,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    assert_non_null(page);
    return page;
}

static void expect_refused(const char *query, int status, const char *error)
{
    char path[4096], expected[512];
    snprintf(path, sizeof(path), "/storage?%s", query);
    snprintf(expected, sizeof(expected), "{\"error\":\"%s\"}", error);
    assert_int_equal(kv_test_http_ask(&stream, "GET", path, NULL, NULL, &response), status);
    kv_buffer_append_char(&response.body, '\0');
    assert_string_equal(response.body.bytes, expected);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A listing in the store's own order is compared without regard to that. */
static void take(const json_t *page)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(json_object_get(page, "keys"), i, entry)
    {
        assert_true(walk.n_keys < MOST_KEYS);
        walk.keys[walk.n_keys++] = strdup(json_string_value(json_object_get(entry, "key")));
    }
    json_array_foreach(json_object_get(page, "prefixes"), i, entry)
    {
        assert_true(walk.n_prefixes < MOST_KEYS);
        walk.prefixes[walk.n_prefixes++] = strdup(json_string_value(entry));
    }
    size_t n = json_array_size(json_object_get(page, "keys")) +
               json_array_size(json_object_get(page, "prefixes"));
    walk.longest_page = n > walk.longest_page ? n : walk.longest_page;
    walk.n_pages++;
    if (!kv_test_lists_in_order())
        qsort(walk.keys, walk.n_keys, sizeof(walk.keys[0]), compare);
}

static void walk_through(const char *query)
{
    char next[4096];
    const char *cursor = "";
    json_t *page = NULL;
    do {
        snprintf(next, sizeof(next), "%s&cursor=%s", query, cursor);
        json_decref(page);
        page = ask(next);
        take(page);
        cursor = json_string_value(json_object_get(page, "cursor"));
    } while (cursor != NULL);
    json_decref(page);
}

static bool has_key(const json_t *page, struct kv_slice key)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(json_object_get(page, "keys"), i, entry)
    {
        const json_t *there = json_object_get(entry, "key");
        if (kv_slice_equals((struct kv_slice){json_string_value(there), json_string_length(there)},
                            key))
            return true;
    }
    return false;
}

/* Of tests about order, and about the delimiter, which needs it. */
static void skip_without_order(void)
{
    if (!kv_test_lists_in_order())
        kv_test_skip_for("keys are listed in the store's own order");
}

static void expect_texts(char *const *texts, size_t n, const char *const *expected,
                         size_t n_expected)
{
    for (size_t i = 0; i < n && i < n_expected; i++)
        assert_string_equal(texts[i], expected[i]);
    assert_int_equal(n, n_expected);
}

static void store_all(void **state, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        kv_test_store(kv_test_port(state), keys[i], "1");
}

static void store_numbered(void **state, const char *prefix, int n)
{
    char key[64];
    for (int i = 0; i < n; i++) {
        snprintf(key, sizeof(key), "%s%04d", prefix, i);
        kv_test_store(kv_test_port(state), key, "1");
    }
}

/* ---- a page ---- */

static void only_keys_with_the_prefix_come_in_byte_order(void **state)
{
    static const char *const stored[] = {"order/b", "order/%C3%A4", "order/a/c",
                                         "order",   "order/",       "ordeR/a",
                                         "order0",  "order/a",      "order/%00"};
    static const char *const listed[] = {"order/a", "order/a/c", "order/b", "order/\xc3\xa4"};
    store_all(state, stored, N(stored));
    json_t *page = ask("prefix=order/");
    take(page);
    assert_string_equal(walk.keys[0], "order/");
    /* the second has U+0000, at which the C string ends */
    assert_string_equal(walk.keys[1], "order/");
    assert_true(has_key(page, (struct kv_slice){"order/", 7}));
    expect_texts(walk.keys + 2, walk.n_keys - 2, listed, N(listed));
    assert_null(json_object_get(page, "cursor"));
    assert_null(json_object_get(page, "prefixes"));
    json_decref(page);
}

static void an_entry_has_key_and_revision(void **state)
{
    char expected[128];
    kv_test_store(kv_test_port(state), "entry/%22", "1");
    kv_test_http_ask(&stream, "GET", "/storage/entry/%22", NULL, NULL, &response);
    const char *etag = kv_test_response_header(&response, "etag");
    snprintf(expected, sizeof(expected), "{\"keys\":[{\"key\":\"entry/\\\"\",\"revision\":%.*s}]}",
             (int)strlen(etag) - 2, etag + 1);
    json_decref(ask("prefix=entry/"));
    kv_buffer_append_char(&response.body, '\0');
    assert_string_equal(response.body.bytes, expected);
}

static void values_come_where_they_are_asked_for(void **state)
{
    kv_test_store(kv_test_port(state), "values/k", "[ 1.10 , \"\\u0041\" ]");
    json_decref(ask("prefix=values/&values=true"));
    kv_buffer_append_char(&response.body, '\0');
    kv_test_expect_part(response.body.bytes, "\"value\":[ 1.10 , \"\\u0041\" ]}]}");
    json_decref(ask("prefix=values/&values=false"));
    kv_buffer_append_char(&response.body, '\0');
    assert_null(strstr(response.body.bytes, "value\":"));
}

static void a_ttl_is_the_time_left(void **state)
{
    (void)state;
    kv_test_http_status(kv_test_port(state), "POST", "/storage/ttl/k", NULL,
                        "{\"value\":1,\"ttl\":\"1h\"}");
    json_t *page = ask("prefix=ttl/");
    json_t *entry = json_array_get(json_object_get(page, "keys"), 0);
    assert_in_range(json_integer_value(json_object_get(entry, "ttl")), 3600000 - 60000, 3600000);
    json_decref(page);
}

static void an_expired_key_does_not_come(void **state)
{
    kv_test_http_status(kv_test_port(state), "POST", "/storage/gone/a", NULL,
                        "{\"value\":1,\"ttl\":1}");
    kv_test_store(kv_test_port(state), "gone/b", "1");
    kv_test_sleep_ms(3 + kv_test_clock_error_ms()); /* the deadline is what this is about */
    walk_through("prefix=gone/");
    expect_texts(walk.keys, walk.n_keys, (const char *const[]){"gone/b"}, 1);
}

static void nothing_is_an_empty_page(void **state)
{
    (void)state;
    json_decref(ask("prefix=nothing-begins-so"));
    assert_true(kv_slice_equals(kv_buffer_slice(&response.body), KV_SLICE("{\"keys\":[]}")));
}

static void without_parameters_every_key_is_listed(void **state)
{
    kv_test_store(kv_test_port(state), "", "1");
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/storage", NULL, NULL, &response), 200);
    json_t *page = ask("");
    assert_true(has_key(page, (struct kv_slice){"", 0}));
    json_decref(page);
}

static void parameters_are_form_encoded(void **state)
{
    kv_test_store(kv_test_port(state), "form%20a+b", "1");
    walk_through("pre%66ix=form+a%2b");
    expect_texts(walk.keys, walk.n_keys, (const char *const[]){"form a+b"}, 1);
}

static void head_is_get_without_a_body(void **state)
{
    kv_test_store(kv_test_port(state), "head/k", "1");
    json_decref(ask("prefix=head/"));
    char length[32];
    snprintf(length, sizeof(length), "%zu", response.body.len);
    struct kv_buffer request = {0};
    kv_test_http_write(&request, "HEAD", KV_SLICE("/storage?prefix=head/"), NULL,
                       (struct kv_slice){0});
    kv_test_stream_put(&stream, kv_buffer_slice(&request));
    kv_test_stream_flush(&stream);
    assert_true(kv_test_http_receive_head(&stream, &response));
    assert_int_equal(response.status, 200);
    assert_string_equal(kv_test_response_header(&response, "content-length"), length);
    kv_buffer_fini(&request);
}

static void a_page_of_an_allowed_origin_may_read_it(void **state)
{
    (void)state;
    assert_int_equal(kv_test_http_ask(&stream, "GET", "/storage", "Origin: http://localhost:8\r\n",
                                      NULL, &response),
                     200);
    assert_string_equal(kv_test_response_header(&response, "access-control-allow-origin"),
                        "http://localhost:8");
    assert_int_equal(kv_test_http_ask(&stream, "POST", "/storage", NULL, "{}", &response), 405);
    assert_string_equal(kv_test_response_header(&response, "allow"), "GET, HEAD, OPTIONS");
}

/* ---- pages ---- */

static void pages_have_each_key_once_in_order(void **state)
{
    char key[32];
    store_numbered(state, "pages/", 300);
    walk_through("prefix=pages/&limit=70");
    assert_int_equal(walk.n_keys, 300);
    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof(key), "pages/%04d", i);
        assert_string_equal(walk.keys[i], key);
    }
    assert_int_equal(walk.longest_page, 70);
}

static void the_limit_is_100_unless_given(void **state)
{
    store_numbered(state, "usual/", 101);
    walk_through("prefix=usual/");
    assert_int_equal(walk.n_keys, 101);
    assert_int_equal(walk.longest_page, 100);
}

static void a_page_ends_at_16_mib(void **state)
{
    enum {
        VALUE = 1 << 20
    };
    char *letters = kv_test_letters('x', VALUE);
    char *value = malloc(VALUE + 3), key[32];
    sprintf(value, "\"%s\"", letters);
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof(key), "long/%04d", i);
        kv_test_store(kv_test_port(state), key, value);
    }
    walk_through("prefix=long/&values=true");
    assert_int_equal(walk.n_keys, 20);
    assert_int_equal(walk.longest_page, 15);
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof(key), "/storage/long/%04d", i);
        kv_test_http_status(kv_test_port(state), "DELETE", key, NULL, NULL);
    }
    free(letters);
    free(value);
}

static void many_listings_at_once_are_answered_in_order(void **state)
{
    store_numbered(state, "many/", 50);
    struct kv_buffer requests = {0};
    for (int i = 0; i < 50; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/storage?prefix=many/%04d", i);
        kv_test_http_write(&requests, "GET", kv_slice_of(path), NULL, (struct kv_slice){0});
    }
    kv_test_stream_put(&stream, kv_buffer_slice(&requests));
    kv_test_stream_flush(&stream);
    for (int i = 0; i < 50; i++) {
        char key[64];
        snprintf(key, sizeof(key), "\"many/%04d\"", i);
        assert_true(kv_test_http_receive(&stream, &response));
        kv_buffer_append_char(&response.body, '\0');
        kv_test_expect_part(response.body.bytes, key);
    }
    kv_buffer_fini(&requests);
}

/* ---- the delimiter ---- */

static void a_delimiter_needs_an_order(void **state)
{
    (void)state;
    if (!kv_test_lists_in_order()) {
        assert_int_equal(
            kv_test_http_ask(&stream, "GET", "/storage?delimiter=/", NULL, NULL, &response), 409);
        return;
    }
    json_decref(ask("prefix=nothing-begins-so&delimiter=/"));
    assert_true(kv_slice_equals(kv_buffer_slice(&response.body),
                                KV_SLICE("{\"keys\":[],\"prefixes\":[]}")));
}

static void keys_are_folded_at_the_delimiter(void **state)
{
    static const char *const stored[] = {"fold/a",     "fold/b/1",      "fold/b/2",
                                         "fold/b/c/3", "fold/b0",       "fold/c/1",
                                         "fold//x",    "fold/d%3A%3Ae", "fold/%C3%A4/1"};
    static const char *const keys[] = {"fold/a", "fold/b0", "fold/d::e"};
    static const char *const prefixes[] = {"fold//", "fold/b/", "fold/c/", "fold/\xc3\xa4/"};
    skip_without_order();
    store_all(state, stored, N(stored));
    walk_through("prefix=fold/&delimiter=/");
    expect_texts(walk.keys, walk.n_keys, keys, N(keys));
    expect_texts(walk.prefixes, walk.n_prefixes, prefixes, N(prefixes));
}

static void a_delimiter_may_be_long_and_the_prefix_empty(void **state)
{
    static const char *const stored[] = {"long-d::1", "long-d::2", "long-d:3", "long-e::"};
    skip_without_order();
    store_all(state, stored, N(stored));
    walk_through("prefix=long-&delimiter=::");
    expect_texts(walk.keys, walk.n_keys, (const char *const[]){"long-d:3"}, 1);
    expect_texts(walk.prefixes, walk.n_prefixes, (const char *const[]){"long-d::", "long-e::"}, 2);
    json_t *page = ask("delimiter=-&limit=10000");
    bool is_there = false;
    size_t i;
    const json_t *entry;
    json_array_foreach(json_object_get(page, "prefixes"), i, entry) is_there |=
        strcmp(json_string_value(entry), "long-") == 0;
    assert_true(is_there);
    json_decref(page);
}

static void a_prefix_is_folded_once_over_all_pages(void **state)
{
    skip_without_order();
    for (size_t limit = 1; limit <= 5; limit++) {
        char query[64];
        static const char *const keys[] = {"once/a", "once/c", "once/e"};
        static const char *const prefixes[] = {"once/b/", "once/d/", "once/f/"};
        store_all(state, keys, N(keys));
        store_numbered(state, "once/b/", 200);
        kv_test_store(kv_test_port(state), "once/d/1", "1");
        store_numbered(state, "once/f/", 100);
        snprintf(query, sizeof(query), "prefix=once/&delimiter=/&limit=%zu", limit);
        walk_through(query);
        expect_texts(walk.keys, walk.n_keys, keys, N(keys));
        expect_texts(walk.prefixes, walk.n_prefixes, prefixes, N(prefixes));
        assert_int_equal(walk.longest_page, limit);
        for (size_t i = 0; i < walk.n_keys; i++)
            free(walk.keys[i]);
        for (size_t i = 0; i < walk.n_prefixes; i++)
            free(walk.prefixes[i]);
        memset(&walk, 0, sizeof(walk));
    }
}

static void many_prefixes_come_in_few_pages(void **state)
{
    char key[64];
    skip_without_order();
    for (int i = 0; i < 600; i++) {
        snprintf(key, sizeof(key), "wide/%04d/k", i);
        kv_test_store(kv_test_port(state), key, "1");
    }
    walk_through("prefix=wide/&delimiter=/&limit=1000");
    assert_int_equal(walk.n_keys, 0);
    assert_int_equal(walk.n_prefixes, 600);
    assert_int_equal(walk.n_pages, 1);
}

/* ---- counting ---- */

static void count_gives_the_number_alone(void **state)
{
    store_numbered(state, "count/", 250);
    json_decref(ask("count=true&prefix=count/"));
    assert_true(kv_slice_equals(kv_buffer_slice(&response.body), KV_SLICE("{\"count\":250}")));
    json_decref(ask("count=true&prefix=count/01"));
    assert_true(kv_slice_equals(kv_buffer_slice(&response.body), KV_SLICE("{\"count\":100}")));
    json_decref(ask("count=true&prefix=no-such"));
    assert_true(kv_slice_equals(kv_buffer_slice(&response.body), KV_SLICE("{\"count\":0}")));
    json_decref(ask("count=false&prefix=no-such"));
    assert_true(kv_slice_equals(kv_buffer_slice(&response.body), KV_SLICE("{\"keys\":[]}")));
}

/* ---- refusals ---- */

static void a_bad_parameter_is_refused_by_name(void **state)
{
    (void)state;
    expect_refused(
        "limit=0", 400,
        "the parameter \\\"limit\\\" must be a whole number from 1 to 10000, not \\\"0\\\"");
    expect_refused("limit=10001", 400,
                   "the parameter \\\"limit\\\" must be a whole number from 1 to 10000, not "
                   "\\\"10001\\\"");
    expect_refused("values=yes", 400,
                   "the parameter \\\"values\\\" must be true or false, not \\\"yes\\\"");
    expect_refused("delimiter=", 400, "the parameter \\\"delimiter\\\" must not be empty");
    expect_refused("prefix=a&prefix=b", 400, "the parameter \\\"prefix\\\" is given twice");
    expect_refused(
        "prefx=a", 400,
        "unknown parameter \\\"prefx\\\": this path takes prefix, limit, cursor, values, "
        "delimiter, count");
    expect_refused("prefix=%zz", 400, "the query: a broken percent escape at byte 7");
    expect_refused("count=true&limit=1", 400, "\\\"count\\\" goes with \\\"prefix\\\" alone");
}

static void a_cursor_of_another_listing_is_refused(void **state)
{
    char query[4096];
    store_numbered(state, "cursor/", 3);
    kv_test_store(kv_test_port(state), "cursor/a/b", "1");
    json_t *page = ask("prefix=cursor/&limit=1");
    const char *cursor = json_string_value(json_object_get(page, "cursor"));
    assert_non_null(cursor);
    static const char *const others[] = {"prefix=cursor", "prefix=cursor/0", "prefix=other/",
                                         "prefix=", "prefix=cursor/&delimiter=/"};
    size_t n_others = kv_test_lists_in_order() ? N(others) : N(others) - 1;
    for (size_t i = 0; i < n_others; i++) {
        snprintf(query, sizeof(query), "%s&cursor=%s", others[i], cursor);
        expect_refused(query, 400, "the cursor belongs to another listing");
    }
    snprintf(query, sizeof(query), "prefix=cursor/&limit=2&values=true&cursor=%s", cursor);
    json_decref(ask(query));
    json_decref(page);
    static const char *const bad[] = {"x", "!", "AAAA", "c3RhcnQ", "%00", "cA"};
    for (size_t i = 0; i < N(bad); i++) {
        snprintf(query, sizeof(query), "prefix=cursor/&cursor=%s", bad[i]);
        expect_refused(query, 400, "the cursor belongs to another listing");
    }
}

static void a_cursor_is_good_though_its_key_is_gone(void **state)
{
    char query[4096], path[64];
    store_numbered(state, "went/", 4);
    json_t *first = ask("prefix=went/&limit=2");
    const json_t *last = json_array_get(json_object_get(first, "keys"), 1);
    snprintf(path, sizeof(path), "/storage/%s", json_string_value(json_object_get(last, "key")));
    kv_test_http_status(kv_test_port(state), "DELETE", path, NULL, NULL);
    snprintf(query, sizeof(query), "prefix=went/&limit=2&cursor=%s",
             json_string_value(json_object_get(first, "cursor")));
    json_t *second = ask(query);
    take(second);
    assert_int_equal(walk.n_keys, 2);
    for (int i = 0; i < 4; i++) {
        struct kv_buffer key = {0};
        kv_buffer_printf(&key, "went/%04d", i);
        assert_true(has_key(first, kv_buffer_slice(&key)) !=
                    has_key(second, kv_buffer_slice(&key)));
        kv_buffer_fini(&key);
    }
    json_decref(first);
    json_decref(second);
}

#define LIST_TEST(name) cmocka_unit_test_setup_teardown(name, open_stream, close_stream)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIST_TEST(only_keys_with_the_prefix_come_in_byte_order),
        LIST_TEST(an_entry_has_key_and_revision),
        LIST_TEST(values_come_where_they_are_asked_for),
        LIST_TEST(a_ttl_is_the_time_left),
        LIST_TEST(an_expired_key_does_not_come),
        LIST_TEST(nothing_is_an_empty_page),
        LIST_TEST(without_parameters_every_key_is_listed),
        LIST_TEST(parameters_are_form_encoded),
        LIST_TEST(head_is_get_without_a_body),
        LIST_TEST(a_page_of_an_allowed_origin_may_read_it),
        LIST_TEST(pages_have_each_key_once_in_order),
        LIST_TEST(the_limit_is_100_unless_given),
        LIST_TEST(a_page_ends_at_16_mib),
        LIST_TEST(many_listings_at_once_are_answered_in_order),
        LIST_TEST(a_delimiter_needs_an_order),
        LIST_TEST(keys_are_folded_at_the_delimiter),
        LIST_TEST(a_delimiter_may_be_long_and_the_prefix_empty),
        LIST_TEST(a_prefix_is_folded_once_over_all_pages),
        LIST_TEST(many_prefixes_come_in_few_pages),
        LIST_TEST(count_gives_the_number_alone),
        LIST_TEST(a_bad_parameter_is_refused_by_name),
        LIST_TEST(a_cursor_of_another_listing_is_refused),
        LIST_TEST(a_cursor_is_good_though_its_key_is_gone),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
