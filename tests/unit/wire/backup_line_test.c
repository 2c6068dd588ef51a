/* Lines of backups: written lines are read back unchanged, and malformed ones are refused with a
 * reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/backup_line.h"

#define SUM "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct kv_line_limits limits = {
    .max_depth = 4, .max_key_bytes = 16, .max_value_bytes = 32};

static struct kv_buffer scratch;

static int tear_down(void **state)
{
    (void)state;
    kv_buffer_fini(&scratch);
    scratch = (struct kv_buffer){0};
    return 0;
}

/* Takes ownership of the written line, with its line feed. Its slices stay valid until the end of
 * the test. */
static struct kv_backup_line read_back(const struct kv_buffer *text)
{
    struct kv_backup_line line;
    struct kv_error error;
    assert_int_equal(text->bytes[text->len - 1], '\n');
    if (kv_backup_line_parse((struct kv_slice){text->bytes, text->len - 1}, &limits, &scratch,
                             &line, &error) != 0)
        fail_msg("%s", error.text);
    return line;
}

static void assert_refused(const char *text, const char *what)
{
    struct kv_backup_line line;
    struct kv_error error;
    if (kv_backup_line_parse(kv_slice_of(text), &limits, &scratch, &line, &error) == 0)
        fail_msg("%s was accepted", text);
    assert_string_equal(error.text, what);
}

static void a_state_is_read_as_it_was_written(void **state)
{
    struct kv_buffer out = {0};
    (void)state;
    kv_line_append_front(&out, KV_SLICE("a\n\"\0"));
    kv_buffer_append(&out, KV_SLICE("[1, 2]"));
    kv_backup_line_append_back(&out, 1795464866373, 17);
    struct kv_backup_line line = read_back(&out);
    assert_int_equal(line.kind, KV_BACKUP_STATE);
    assert_true(kv_slice_equals(line.key, KV_SLICE("a\n\"\0")));
    assert_true(kv_slice_equals(line.value, KV_SLICE("[1, 2]")));
    assert_int_equal(line.deadline_unix_ms, 1795464866373);
    assert_int_equal(line.revision, 17);
    kv_buffer_fini(&out);
}

static void a_deletion_has_no_value(void **state)
{
    struct kv_buffer out = {0};
    (void)state;
    kv_backup_line_append_gone(&out, KV_SLICE(""), 18);
    struct kv_backup_line line = read_back(&out);
    assert_int_equal(line.kind, KV_BACKUP_GONE);
    assert_int_equal(line.key.len, 0);
    assert_int_equal(line.revision, 18);
    kv_buffer_fini(&out);
}

static void a_touch_may_remove_the_deadline(void **state)
{
    struct kv_buffer out = {0};
    (void)state;
    kv_backup_line_append_touch(&out, KV_SLICE("k"), 0, 19);
    struct kv_backup_line line = read_back(&out);
    assert_int_equal(line.kind, KV_BACKUP_TOUCH);
    assert_int_equal(line.deadline_unix_ms, 0);
    assert_int_equal(line.revision, 19);
    kv_buffer_fini(&out);
}

static void the_end_is_read_as_it_was_written(void **state)
{
    struct kv_buffer out = {0};
    (void)state;
    kv_backup_line_append_end(
        &out, &(struct kv_backup_end){
                  .revision = 20, .epoch = KV_SLICE("e"), .n_lines = 3, .sum = KV_SLICE(SUM)});
    struct kv_backup_line line = read_back(&out);
    assert_int_equal(line.kind, KV_BACKUP_END);
    assert_int_equal(line.end.revision, 20);
    assert_true(kv_slice_equals(line.end.epoch, KV_SLICE("e")));
    assert_int_equal(line.end.n_lines, 3);
    assert_true(kv_slice_equals(line.end.sum, KV_SLICE(SUM)));
    kv_buffer_fini(&out);
}

static void malformed_lines_are_refused_with_a_reason(void **state)
{
    (void)state;
    assert_refused("[]", "the line is not an object");
    assert_refused("{\"key\":1,\"value\":1,\"revision\":1}", "\"key\" is not a string");
    assert_refused("{\"key\":\"k\",\"revision\":1}",
                   "it has not one of \"value\", \"deleted\" and \"touched\"");
    assert_refused("{\"key\":\"k\",\"value\":1,\"deleted\":true,\"revision\":1}",
                   "it has not one of \"value\", \"deleted\" and \"touched\"");
    assert_refused("{\"key\":\"k\",\"value\":1}", "\"revision\" is not a whole number");
    assert_refused("{\"key\":\"k\",\"value\":1,\"deadline\":-1,\"revision\":1}",
                   "\"deadline\" is not a whole number");
    assert_refused("{\"key\":\"12345678901234567\",\"value\":1,\"revision\":1}",
                   "the key has 17 bytes, the limit is 16");
    assert_refused("{\"backup\":1}", "\"backup\" is not an object");
    assert_refused("{\"backup\":{\"revision\":1,\"epoch\":\"e\",\"lines\":1,\"sum\":\"00\"}}",
                   "\"sum\" has not 64 characters");
}

static void lines_of_exports_are_told_from_those_of_backups(void **state)
{
    static const char *const of_exports[] = {
        "{\"key\":\"backup\",\"value\":{\"backup\":{},\"deleted\":true},\"ttl\":1,\"revision\":1}",
        "{\"key\":\"error\",\"value\":1,\"error\":1}", "", "{", "[]"};
    (void)state;
    for (size_t i = 0; i < sizeof(of_exports) / sizeof(of_exports[0]); i++) {
        assert_false(kv_backup_line_is_sure(kv_slice_of(of_exports[i])));
        assert_false(kv_backup_line_is_last(kv_slice_of(of_exports[i])));
    }
    assert_true(kv_backup_line_is_sure(KV_SLICE("{\"key\":\"k\",\"value\":1,\"deadline\":1}")));
    assert_true(kv_backup_line_is_sure(KV_SLICE("{\"key\":\"k\",\"deleted\":true}")));
    assert_true(kv_backup_line_is_sure(KV_SLICE("{\"key\":\"k\",\"touched\":true}")));
    assert_true(kv_backup_line_is_last(KV_SLICE("{\"backup\":{\"lines\":0}}")));
    assert_true(kv_backup_line_is_last(KV_SLICE("{\"error\":\"too slow\"}")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_state_is_read_as_it_was_written, tear_down),
        cmocka_unit_test_teardown(a_deletion_has_no_value, tear_down),
        cmocka_unit_test_teardown(a_touch_may_remove_the_deadline, tear_down),
        cmocka_unit_test_teardown(the_end_is_read_as_it_was_written, tear_down),
        cmocka_unit_test(lines_of_exports_are_told_from_those_of_backups),
        cmocka_unit_test_teardown(malformed_lines_are_refused_with_a_reason, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
