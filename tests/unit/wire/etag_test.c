/* If-Match and If-None-Match. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/etag.h"

static void parse(const char *line, struct kv_etags *etags)
{
    if (kv_etags_parse(kv_slice_of(line), etags) != 0)
        fail_msg("%s was refused", line);
}

/* Whether the single header line matches revision 17. */
static bool matches_strongly(const char *line)
{
    struct kv_etags etags = {0};
    parse(line, &etags);
    bool matches = kv_etags_match_strongly(&etags, 17);
    kv_etags_fini(&etags);
    return matches;
}

static bool matches_weakly(const char *line)
{
    struct kv_etags etags = {0};
    parse(line, &etags);
    bool matches = kv_etags_match_weakly(&etags, 17);
    kv_etags_fini(&etags);
    return matches;
}

static void a_revision_in_quotes_matches_both_ways(void **state)
{
    (void)state;
    assert_true(matches_strongly("\"17\""));
    assert_true(matches_weakly("\"17\""));
    assert_false(matches_strongly("\"18\""));
    assert_false(matches_weakly("\"18\""));
}

static void a_weak_tag_matches_only_weakly(void **state)
{
    (void)state;
    assert_false(matches_strongly("W/\"17\""));
    assert_true(matches_weakly("W/\"17\""));
    assert_true(matches_strongly("W/\"17\", \"17\""));
}

static void a_star_matches_any(void **state)
{
    (void)state;
    assert_true(matches_strongly("*"));
    assert_true(matches_weakly(" \t* "));
}

static void any_tag_of_a_list_may_match(void **state)
{
    (void)state;
    assert_true(matches_strongly("\"1\", \"2\",\"17\" ,W/\"9\""));
    assert_true(matches_strongly("\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"17\""));
    assert_false(matches_strongly("\"1\", \"2\""));
}

static void empty_elements_are_skipped(void **state)
{
    (void)state;
    assert_true(matches_strongly(", ,\t\"17\",,"));
}

static void foreign_tags_match_nothing(void **state)
{
    (void)state;
    assert_false(matches_weakly("\"\""));
    assert_false(matches_weakly("\"017\""));
    assert_false(matches_weakly("\"+17\""));
    assert_false(matches_weakly("\"17a\""));
    assert_false(matches_weakly("\"0x11\""));
    assert_false(matches_weakly("\"17,18\""));
    assert_false(matches_weakly("\"abc\xff!#~\""));
    assert_false(matches_weakly("\"18446744073709551633\""));
    assert_false(matches_weakly("\"9007199254740992\""));
    assert_true(matches_weakly("\"a,b\",\"17\""));
}

static void the_largest_revision_matches(void **state)
{
    struct kv_etags etags = {0};
    (void)state;
    parse("\"9007199254740991\"", &etags);
    assert_int_equal(etags.n, 1);
    assert_int_equal(etags.revisions[0], INT64_C(9007199254740991));
    kv_etags_fini(&etags);
}

static void several_header_lines_are_one_list(void **state)
{
    struct kv_etags etags = {0};
    (void)state;
    assert_false(etags.is_given);
    parse("\"1\"", &etags);
    parse("\"17\", W/\"2\"", &etags);
    assert_true(etags.is_given);
    assert_true(kv_etags_match_strongly(&etags, 1));
    assert_true(kv_etags_match_strongly(&etags, 17));
    assert_false(kv_etags_match_strongly(&etags, 2));
    assert_true(kv_etags_match_weakly(&etags, 2));
    kv_etags_fini(&etags);
}

static void malformed_lists_are_refused(void **state)
{
    static const char *const lines[] = {
        "17", "\"17",     "17\"",    "\"1\" \"2\"", "w/\"1\"", "W/1",    "W\"1\"",   "W/",
        "W",  "W /\"1\"", "\"a b\"", "\"a\x7f\"",   "\"\t\"",  "\"1\";", "*, \"1\"", "\"1\", *",
        "**", "*,",       ",*",      "\"1\"\"2\"",  "'1'",     "",       " , ",      ",",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct kv_etags etags = {0};
        if (kv_etags_parse(kv_slice_of(lines[i]), &etags) == 0)
            fail_msg("%s was accepted", lines[i]);
        kv_etags_fini(&etags);
    }
}

static void a_star_beside_another_line_is_refused(void **state)
{
    static const char *const pairs[][2] = {{"*", "*"}, {"*", "\"1\""}, {"\"1\"", "*"}, {"*", ""}};
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct kv_etags etags = {0};
        parse(pairs[i][0], &etags);
        assert_int_equal(kv_etags_parse(kv_slice_of(pairs[i][1]), &etags), -1);
        kv_etags_fini(&etags);
    }
}

static void finishing_resets_the_header(void **state)
{
    struct kv_etags etags = {0};
    (void)state;
    parse("\"1\", W/\"2\"", &etags);
    kv_etags_fini(&etags);
    assert_false(etags.is_given);
    assert_null(etags.revisions);
    kv_etags_fini(&etags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_revision_in_quotes_matches_both_ways),
        cmocka_unit_test(a_weak_tag_matches_only_weakly),
        cmocka_unit_test(a_star_matches_any),
        cmocka_unit_test(any_tag_of_a_list_may_match),
        cmocka_unit_test(empty_elements_are_skipped),
        cmocka_unit_test(foreign_tags_match_nothing),
        cmocka_unit_test(the_largest_revision_matches),
        cmocka_unit_test(several_header_lines_are_one_list),
        cmocka_unit_test(malformed_lists_are_refused),
        cmocka_unit_test(a_star_beside_another_line_is_refused),
        cmocka_unit_test(finishing_resets_the_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
