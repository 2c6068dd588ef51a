/* ETag, If-Match and If-None-Match: a write applies to the intended state, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* One connection, one response, and the newest ETag seen. */
struct talk {
    struct kv_test_stream stream;
    struct kv_test_response response;
    char etag[64];
};

static void talk_open(struct talk *talk, void **state)
{
    *talk = (struct talk){0};
    kv_test_stream_open(&talk->stream, kv_test_port(state));
}

static void talk_close(struct talk *talk)
{
    kv_test_response_fini(&talk->response);
    kv_test_stream_close(&talk->stream);
}

static int ask(struct talk *talk, const char *method, const char *path, const char *body)
{
    return kv_test_http_ask(&talk->stream, method, path, NULL, body, &talk->response);
}

/* header: a format with one %s for the condition. */
static int ask_if(struct talk *talk, const char *method, const char *path, const char *header,
                  const char *condition, const char *body)
{
    struct kv_buffer line = {0};
    kv_buffer_printf(&line, "%s: %s\r\n", header, condition);
    kv_buffer_append_char(&line, '\0');
    int status = kv_test_http_ask(&talk->stream, method, path, line.bytes, body, &talk->response);
    kv_buffer_fini(&line);
    return status;
}

static void remember_etag(struct talk *talk)
{
    const char *etag = kv_test_response_header(&talk->response, "etag");
    assert_non_null(etag);
    assert_true(strlen(etag) < sizeof(talk->etag));
    strcpy(talk->etag, etag);
}

static void store(struct talk *talk, const char *path, const char *body)
{
    assert_int_equal(ask(talk, "POST", path, body), 202);
    remember_etag(talk);
}

static void expect_stored(struct talk *talk, const char *path, const char *value)
{
    assert_int_equal(ask(talk, "GET", path, NULL), 200);
    assert_true(kv_test_is_value_body(kv_buffer_slice(&talk->response.body), kv_slice_of(value)));
}

static uint64_t revision_of(const char *etag)
{
    char *end;
    assert_int_equal(etag[0], '"');
    uint64_t revision = strtoull(etag + 1, &end, 10);
    assert_string_equal(end, "\"");
    assert_true(revision > 0 && revision < (uint64_t)1 << 53);
    return revision;
}

static void etag_of_a_write_equals_that_of_a_later_get(void **state)
{
    struct talk talk;
    talk_open(&talk, state);
    store(&talk, "/storage/tag", "{\"value\":1}");
    assert_int_equal(ask(&talk, "GET", "/storage/tag", NULL), 200);
    assert_string_equal(kv_test_response_header(&talk.response, "etag"), talk.etag);
    talk_close(&talk);
}

static void revisions_grow_with_every_change_even_across_a_delete(void **state)
{
    struct talk talk;
    talk_open(&talk, state);
    uint64_t last = 0;
    for (int i = 0; i < 20; i++) {
        store(&talk, "/storage/grow", i % 2 == 0 ? "{\"value\":1}" : "{\"value\":2}");
        assert_true(revision_of(talk.etag) > last);
        last = revision_of(talk.etag);
        if (i % 5 == 0)
            assert_int_equal(ask(&talk, "DELETE", "/storage/grow", NULL), 200);
    }
    talk_close(&talk);
}

static void write_that_changes_nothing_keeps_the_revision(void **state)
{
    struct talk talk;
    talk_open(&talk, state);
    store(&talk, "/storage/same", "{\"value\":[1,2]}");
    uint64_t before = revision_of(talk.etag);
    store(&talk, "/storage/same", "{ \"value\" : [1,2] , \"ttl\" : 100000 }");
    assert_int_equal(revision_of(talk.etag), before);
    store(&talk, "/storage/same", "{\"value\":[1, 2]}");
    assert_true(revision_of(talk.etag) > before);
    talk_close(&talk);
}

static void if_match_lets_the_right_revision_write(void **state)
{
    struct talk talk;
    talk_open(&talk, state);
    store(&talk, "/storage/match", "{\"value\":1}");
    assert_int_equal(
        ask_if(&talk, "POST", "/storage/match", "If-Match", talk.etag, "{\"value\":2}"), 202);
    expect_stored(&talk, "/storage/match", "2");
    talk_close(&talk);
}

static void if_match_with_an_older_revision_is_412_and_changes_nothing(void **state)
{
    struct talk talk;
    talk_open(&talk, state);
    store(&talk, "/storage/older", "{\"value\":1}");
    assert_int_equal(ask(&talk, "POST", "/storage/older", "{\"value\":2}"), 202);
    assert_int_equal(
        ask_if(&talk, "POST", "/storage/older", "If-Match", talk.etag, "{\"value\":3}"), 412);
    assert_true(kv_slice_has_prefix(kv_buffer_slice(&talk.response.body), KV_SLICE("{\"error\":")));
    assert_int_equal(ask_if(&talk, "DELETE", "/storage/older", "If-Match", talk.etag, NULL), 412);
    expect_stored(&talk, "/storage/older", "2");
    talk_close(&talk);
}

static void if_match_of_a_read_that_does_not_match_is_412(void **state)
{
    struct talk talk;
    talk_open(&talk, state);
    store(&talk, "/storage/read", "{\"value\":1}");
    assert_int_equal(ask_if(&talk, "GET", "/storage/read", "If-Match", talk.etag, NULL), 200);
    assert_int_equal(ask_if(&talk, "GET", "/storage/read", "If-Match", "\"1\"", NULL), 412);
    assert_int_equal(ask_if(&talk, "GET", "/storage/no-read", "If-Match", "*", NULL), 412);
    assert_int_equal(ask_if(&talk, "GET", "/storage/read", "If-Match", "1", NULL), 400);
    talk_close(&talk);
}

static void if_match_takes_a_list(void **state)
{
    struct talk talk;
    char list[128];
    talk_open(&talk, state);
    store(&talk, "/storage/list", "{\"value\":1}");
    snprintf(list, sizeof(list), "\"1\", \"not-ours,but-legal\" ,%s,", talk.etag);
    assert_int_equal(ask_if(&talk, "PUT", "/storage/list", "If-Match", list, "{\"value\":2}"), 202);
    snprintf(list, sizeof(list), "\"1\", \"2\"");
    assert_int_equal(ask_if(&talk, "PUT", "/storage/list", "If-Match", list, "{\"value\":3}"), 412);
    talk_close(&talk);
}

static void if_match_compares_strongly(void **state)
{
    struct talk talk;
    char weak[80];
    talk_open(&talk, state);
    store(&talk, "/storage/strong", "{\"value\":1}");
    snprintf(weak, sizeof(weak), "W/%s", talk.etag);
    assert_int_equal(ask_if(&talk, "POST", "/storage/strong", "If-Match", weak, "{\"value\":2}"),
                     412);
    expect_stored(&talk, "/storage/strong", "1");
    talk_close(&talk);
}

static void if_match_any_requires_an_existing_key(void **state)
{
    struct talk talk;
    talk_open(&talk, state);
    assert_int_equal(ask_if(&talk, "POST", "/storage/any", "If-Match", "*", "{\"value\":1}"), 412);
    assert_int_equal(ask_if(&talk, "DELETE", "/storage/any", "If-Match", "*", NULL), 412);
    assert_int_equal(ask(&talk, "GET", "/storage/any", NULL), 204);
    store(&talk, "/storage/any", "{\"value\":1}");
    assert_int_equal(ask_if(&talk, "POST", "/storage/any", "If-Match", "*", "{\"value\":2}"), 202);
    expect_stored(&talk, "/storage/any", "2");
    talk_close(&talk);
}

static void if_match_on_a_deleted_key_never_matches(void **state)
{
    struct talk talk;
    talk_open(&talk, state);
    store(&talk, "/storage/deleted", "{\"value\":1}");
    assert_int_equal(ask(&talk, "DELETE", "/storage/deleted", NULL), 200);
    assert_int_equal(
        ask_if(&talk, "POST", "/storage/deleted", "If-Match", talk.etag, "{\"value\":2}"), 412);
    assert_int_equal(ask(&talk, "GET", "/storage/deleted", NULL), 204);
    talk_close(&talk);
}

static void delete_with_the_right_revision_deletes(void **state)
{
    struct talk talk;
    talk_open(&talk, state);
    store(&talk, "/storage/delete", "{\"value\":1}");
    assert_int_equal(ask_if(&talk, "DELETE", "/storage/delete", "If-Match", talk.etag, NULL), 200);
    assert_int_equal(ask(&talk, "GET", "/storage/delete", NULL), 204);
    talk_close(&talk);
}

static void if_none_match_any_writes_only_missing_keys(void **state)
{
    struct talk talk;
    talk_open(&talk, state);
    assert_int_equal(
        ask_if(&talk, "POST", "/storage/create", "If-None-Match", "*", "{\"value\":1}"), 202);
    assert_int_equal(
        ask_if(&talk, "POST", "/storage/create", "If-None-Match", "*", "{\"value\":2}"), 412);
    expect_stored(&talk, "/storage/create", "1");
    talk_close(&talk);
}

static void if_none_match_on_a_write_accepts_only_any(void **state)
{
    static const char *const conditions[] = {"\"1\"", "W/\"1\"", "\"1\", \"2\""};
    struct talk talk;
    talk_open(&talk, state);
    for (size_t i = 0; i < N(conditions); i++)
        assert_int_equal(ask_if(&talk, "POST", "/storage/alone", "If-None-Match", conditions[i],
                                "{\"value\":1}"),
                         400);
    assert_int_equal(ask(&talk, "GET", "/storage/alone", NULL), 204);
    talk_close(&talk);
}

static void get_of_a_known_revision_is_304(void **state)
{
    struct talk talk;
    char condition[160];
    talk_open(&talk, state);
    store(&talk, "/storage/known", "{\"value\":1}");
    snprintf(condition, sizeof(condition), "\"1\", W/%s", talk.etag);
    const char *const conditions[] = {talk.etag, condition, "*"};
    for (size_t i = 0; i < N(conditions); i++) {
        assert_int_equal(
            ask_if(&talk, "GET", "/storage/known", "If-None-Match", conditions[i], NULL), 304);
        assert_string_equal(kv_test_response_header(&talk.response, "etag"), talk.etag);
    }
    assert_int_equal(ask(&talk, "POST", "/storage/known", "{\"value\":2}"), 202);
    assert_int_equal(ask_if(&talk, "GET", "/storage/known", "If-None-Match", talk.etag, NULL), 200);
    talk_close(&talk);
}

static void get_of_a_missing_key_with_if_none_match_is_204(void **state)
{
    struct talk talk;
    talk_open(&talk, state);
    assert_int_equal(ask_if(&talk, "GET", "/storage/nothing", "If-None-Match", "\"1\"", NULL), 204);
    talk_close(&talk);
}

static void malformed_condition_is_400_and_changes_nothing(void **state)
{
    static const char *const conditions[] = {"1",       "\"1",      "'1'",     "\"1\" \"2\"",
                                             "w/\"1\"", "*, \"1\"", "\"1\", *"};
    struct talk talk;
    talk_open(&talk, state);
    store(&talk, "/storage/malformed", "{\"value\":1}");
    for (size_t i = 0; i < N(conditions); i++) {
        assert_int_equal(
            ask_if(&talk, "POST", "/storage/malformed", "If-Match", conditions[i], "{\"value\":2}"),
            400);
        assert_int_equal(
            ask_if(&talk, "DELETE", "/storage/malformed", "If-Match", conditions[i], NULL), 400);
        assert_int_equal(
            ask_if(&talk, "GET", "/storage/malformed", "If-None-Match", conditions[i], NULL), 400);
    }
    expect_stored(&talk, "/storage/malformed", "1");
    talk_close(&talk);
}

static void invalid_body_is_400_before_conditions_are_evaluated(void **state)
{
    struct talk talk;
    talk_open(&talk, state);
    store(&talk, "/storage/before", "{\"value\":1}");
    assert_int_equal(ask_if(&talk, "POST", "/storage/before", "If-Match", "\"1\"", "{\"value\":}"),
                     400);
    assert_int_equal(ask_if(&talk, "POST", "/storage/before", "If-None-Match", "*", "{}"), 400);
    talk_close(&talk);
}

static void one_of_many_conditional_writers_succeeds(void **state)
{
    enum {
        WRITERS = 16
    };
    struct talk talks[WRITERS];
    struct kv_buffer request = {0};
    for (size_t i = 0; i < WRITERS; i++)
        talk_open(&talks[i], state);
    store(&talks[0], "/storage/race", "{\"value\":0}");
    for (size_t i = 0; i < WRITERS; i++) {
        request.len = 0;
        kv_buffer_printf(&request,
                         "PUT /storage/race HTTP/1.1\r\nHost: localhost\r\nIf-Match: %s\r\n"
                         "Content-Length: 12\r\n\r\n{\"value\":%zu}",
                         talks[0].etag, i + 10);
        kv_test_stream_put(&talks[i].stream, kv_buffer_slice(&request));
        kv_test_stream_flush(&talks[i].stream);
    }
    int n_won = 0;
    for (size_t i = 0; i < WRITERS; i++) {
        assert_true(kv_test_http_receive(&talks[i].stream, &talks[i].response));
        n_won += talks[i].response.status == 202;
        assert_true(talks[i].response.status == 202 || talks[i].response.status == 412);
    }
    assert_int_equal(n_won, 1);
    for (size_t i = 0; i < WRITERS; i++)
        talk_close(&talks[i]);
    kv_buffer_fini(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(etag_of_a_write_equals_that_of_a_later_get),
        cmocka_unit_test(revisions_grow_with_every_change_even_across_a_delete),
        cmocka_unit_test(write_that_changes_nothing_keeps_the_revision),
        cmocka_unit_test(if_match_lets_the_right_revision_write),
        cmocka_unit_test(if_match_with_an_older_revision_is_412_and_changes_nothing),
        cmocka_unit_test(if_match_of_a_read_that_does_not_match_is_412),
        cmocka_unit_test(if_match_takes_a_list),
        cmocka_unit_test(if_match_compares_strongly),
        cmocka_unit_test(if_match_any_requires_an_existing_key),
        cmocka_unit_test(if_match_on_a_deleted_key_never_matches),
        cmocka_unit_test(delete_with_the_right_revision_deletes),
        cmocka_unit_test(if_none_match_any_writes_only_missing_keys),
        cmocka_unit_test(if_none_match_on_a_write_accepts_only_any),
        cmocka_unit_test(get_of_a_known_revision_is_304),
        cmocka_unit_test(get_of_a_missing_key_with_if_none_match_is_204),
        cmocka_unit_test(malformed_condition_is_400_and_changes_nothing),
        cmocka_unit_test(invalid_body_is_400_before_conditions_are_evaluated),
        cmocka_unit_test(one_of_many_conditional_writers_succeeds),
    };
    return cmocka_run_group_tests(tests, kv_test_group_start, kv_test_group_stop);
}
