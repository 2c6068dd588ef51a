/* The command line of a verb. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kvctl/arguments.h"

static const struct kv_ctl_verb verb = {.name = "try",
                                        .operands = "A [B]",
                                        .least = 1,
                                        .most = 2,
                                        .options = KV_CTL_OPTION(KV_CTL_LIMIT) |
                                                   KV_CTL_OPTION(KV_CTL_PREFIX) |
                                                   KV_CTL_OPTION(KV_CTL_VALUES)};

/* Returns: whether the arguments are valid; if so, the caller owns *ret. */
static bool parse(const char *const *arguments, struct kv_ctl_arguments *ret, const char *part)
{
    struct kv_error error = {""};
    if (kv_ctl_arguments_parse(&verb, arguments, ret, &error) == 0 &&
        kv_ctl_arguments_check(&verb, ret, &error) == 0)
        return true;
    if (part == NULL || strstr(error.text, part) == NULL)
        fail_msg("%s", error.text);
    kv_ctl_arguments_fini(ret);
    return false;
}

static void options_and_operands_may_be_mixed(void **state)
{
    const char *const given[] = {"a", "-vn5", "-p", "x", "--prefix=y=z", "-o", "json", "-", NULL};
    struct kv_ctl_arguments arguments;
    (void)state;
    assert_true(parse(given, &arguments, NULL));
    assert_int_equal(arguments.n_operands, 2);
    assert_string_equal(arguments.operands[1], "-");
    assert_int_equal(arguments.n_prefixes, 2);
    assert_string_equal(arguments.prefixes[1], "y=z");
    assert_string_equal(arguments.options[KV_CTL_LIMIT], "5");
    assert_non_null(arguments.options[KV_CTL_VALUES]);
    assert_null(arguments.options[KV_CTL_QUIET]);
    kv_ctl_arguments_fini(&arguments);
}

static void negative_numbers_and_arguments_after_two_dashes_are_operands(void **state)
{
    const char *const given[] = {"-5", "--", "-v", NULL};
    struct kv_ctl_arguments arguments;
    (void)state;
    assert_true(parse(given, &arguments, NULL));
    assert_string_equal(arguments.operands[0], "-5");
    assert_string_equal(arguments.operands[1], "-v");
    assert_null(arguments.options[KV_CTL_VALUES]);
    kv_ctl_arguments_fini(&arguments);
}

static void faults_are_reported(void **state)
{
    static const struct {
        const char *given[4];
        const char *part;
    } cases[] = {
        {{NULL}, "try needs A [B]"},
        {{"a", "b", "c", NULL}, "unexpected argument c"},
        {{"a", "--limt", "5", NULL}, "did you mean --limit?"},
        {{"a", "--limit", NULL}, "--limit needs a value"},
        {{"a", "-n", NULL}, "--limit needs a value"},
        {{"a", "--values=1", NULL}, "--values takes no value"},
        {{"a", "--count", NULL}, "try has no option --count"},
        {{"a", "-vx", NULL}, "try has no option -x"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct kv_ctl_arguments arguments;
        assert_false(parse(cases[i].given, &arguments, cases[i].part));
    }
}

static void numbers_are_read_as_a_whole(void **state)
{
    static const char *const bad[] = {
        "", "0", "11", "-1", "+1", " 1", "1x", "1.0", "99999999999999999999"};
    struct kv_ctl_arguments arguments = {.options = {[KV_CTL_LIMIT] = "10"}};
    struct kv_error error;
    uint64_t number = 0;
    (void)state;
    assert_int_equal(kv_ctl_read_number(&arguments, KV_CTL_LIMIT, 1, 10, &number, &error), 0);
    assert_int_equal(number, 10);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        arguments.options[KV_CTL_LIMIT] = bad[i];
        assert_int_equal(kv_ctl_read_number(&arguments, KV_CTL_LIMIT, 1, 10, &number, &error), -1);
    }
    assert_int_equal(number, 10);
}

static void words_must_match_whole(void **state)
{
    (void)state;
    assert_true(kv_ctl_words_have("text json jsonl", "json"));
    assert_true(kv_ctl_words_have("text json jsonl", "jsonl"));
    assert_false(kv_ctl_words_have("text jsonl", "json"));
    assert_false(kv_ctl_words_have("text jsonl", "ext"));
    assert_false(kv_ctl_words_have("text jsonl", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_operands_may_be_mixed),
        cmocka_unit_test(negative_numbers_and_arguments_after_two_dashes_are_operands),
        cmocka_unit_test(faults_are_reported),
        cmocka_unit_test(numbers_are_read_as_a_whole),
        cmocka_unit_test(words_must_match_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
