/*
 * The files of JSONTestSuite: `y_` must be accepted, `n_` must be refused; for `i_`, which a parser
 * may decide, the table below lists the expected results.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/json.h"

enum {
    MAX_DEPTH = 1024
};

static const struct {
    const char *name;
    bool is_accepted;
} choices[] = {
    /* Numbers are text, so any size is valid. */
    {"i_number_double_huge_neg_exp.json", true},
    {"i_number_huge_exp.json", true},
    {"i_number_neg_int_huge_exp.json", true},
    {"i_number_pos_double_huge_exp.json", true},
    {"i_number_real_neg_overflow.json", true},
    {"i_number_real_pos_overflow.json", true},
    {"i_number_real_underflow.json", true},
    {"i_number_too_big_neg_int.json", true},
    {"i_number_too_big_pos_int.json", true},
    {"i_number_very_big_negative_int.json", true},
    /* A lone surrogate escape is kept as text. */
    {"i_object_key_lone_2nd_surrogate.json", true},
    {"i_string_1st_surrogate_but_2nd_missing.json", true},
    {"i_string_1st_valid_surrogate_2nd_invalid.json", true},
    {"i_string_incomplete_surrogate_and_escape_valid.json", true},
    {"i_string_incomplete_surrogate_pair.json", true},
    {"i_string_incomplete_surrogates_escape_valid.json", true},
    {"i_string_invalid_lonely_surrogate.json", true},
    {"i_string_invalid_surrogate.json", true},
    {"i_string_inverted_surrogates_U+1D11E.json", true},
    {"i_string_lone_second_surrogate.json", true},
    /* Invalid UTF-8 is refused, and so is a byte order mark. */
    {"i_string_UTF-16LE_with_BOM.json", false},
    {"i_string_UTF-8_invalid_sequence.json", false},
    {"i_string_UTF8_surrogate_U+D800.json", false},
    {"i_string_invalid_utf-8.json", false},
    {"i_string_iso_latin_1.json", false},
    {"i_string_lone_utf8_continuation_byte.json", false},
    {"i_string_not_in_unicode_range.json", false},
    {"i_string_overlong_sequence_2_bytes.json", false},
    {"i_string_overlong_sequence_6_bytes.json", false},
    {"i_string_overlong_sequence_6_bytes_null.json", false},
    {"i_string_truncated-utf-8.json", false},
    {"i_string_utf16BE_no_BOM.json", false},
    {"i_string_utf16LE_no_BOM.json", false},
    {"i_structure_UTF-8_BOM_empty_object.json", false},
    /* 500 levels are within the limit of this test. */
    {"i_structure_500_nested_arrays.json", true},
};

static bool should_accept(const char *name)
{
    if (name[0] == 'y' || name[0] == 'n')
        return name[0] == 'y';
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
        if (strcmp(choices[i].name, name) == 0)
            return choices[i].is_accepted;
    fail_msg("%s is not in the table", name);
    return false;
}

/* Owns: the caller, by free(). The block has the exact size of the file, so that a sanitizer
 * detects any access beyond it. */
static struct kv_slice read_whole(const char *name)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", KV_JSON_TEST_SUITE, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    size_t len = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(len);
    assert_int_equal(fread(bytes, 1, len, file), len);
    fclose(file);
    return (struct kv_slice){bytes, len};
}

static struct kv_slice trim(struct kv_slice text)
{
    while (text.len > 0 && strchr(" \t\r\n", text.bytes[text.len - 1]) != NULL)
        text.len--;
    while (text.len > 0 && strchr(" \t\r\n", text.bytes[0]) != NULL) {
        text.bytes++;
        text.len--;
    }
    return text;
}

static void judge(const char *name)
{
    struct kv_slice text = read_whole(name), value;
    struct kv_json_error error = {.what = ""};
    bool is_accepted = kv_json_check(text, MAX_DEPTH, &value, &error) == 0;
    if (is_accepted != should_accept(name))
        fail_msg("%s: %s", name, is_accepted ? "was accepted" : error.what);
    if (is_accepted && !kv_slice_equals(value, trim(text)))
        fail_msg("%s: the value is not the trimmed text", name);
    if (!is_accepted && error.offset > text.len)
        fail_msg("%s: the error is beyond the text", name);
    free((char *)text.bytes);
}

static void every_file_is_judged_as_it_should_be(void **state)
{
    (void)state;
    DIR *folder = opendir(KV_JSON_TEST_SUITE);
    if (folder == NULL) {
        print_message("skipped: there is no %s\n", KV_JSON_TEST_SUITE);
        skip();
    }
    size_t n = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        judge(entry->d_name);
        n++;
    }
    closedir(folder);
    assert_true(n > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_is_judged_as_it_should_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
