/* Each rule of the duration grammar, and random durations compared with exact integer
 * arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/duration.h"

#define MAX_MS ((INT64_C(1) << 53) - 1)

#define HOUR  INT64_C(3600000)
#define DAY   (24 * HOUR)
#define MONTH INT64_C(2629800000)
#define YEAR  INT64_C(31557600000)

static int64_t parse(const char *text)
{
    int64_t ms = -1;
    const char *what = "nothing";
    if (kv_duration_parse(kv_slice_of(text), MAX_MS, &ms, &what) != 0)
        fail_msg("\"%s\" %s", text, what);
    return ms;
}

static void assert_refused(const char *text, const char *expected)
{
    int64_t ms = -7;
    const char *what = NULL;
    if (kv_duration_parse(kv_slice_of(text), MAX_MS, &ms, &what) == 0)
        fail_msg("\"%s\" was accepted as %lld ms", text, (long long)ms);
    assert_int_equal(ms, -7);
    if (strstr(what, expected) == NULL)
        fail_msg("\"%s\" %s", text, what);
}

static void every_unit_has_its_length(void **state)
{
    static const struct {
        const char *names;
        int64_t ms;
    } units[] = {
        {"ms msec msecs millisecond milliseconds", 1},
        {"s sec secs second seconds", 1000},
        {"m min mins minute minutes", 60000},
        {"h hr hrs hour hours", HOUR},
        {"d day days", DAY},
        {"w week weeks", 7 * DAY},
        {"mo month months", MONTH},
        {"y yr yrs year years", YEAR},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        char names[64];
        snprintf(names, sizeof(names), "%s", units[i].names);
        for (char *rest, *name = strtok_r(names, " ", &rest); name != NULL;
             name = strtok_r(NULL, " ", &rest)) {
            char text[64];
            snprintf(text, sizeof(text), "3%s", name);
            assert_int_equal(parse(text), 3 * units[i].ms);
            snprintf(text, sizeof(text), "3 %s ", name);
            assert_int_equal(parse(text), 3 * units[i].ms);
        }
    }
}

static void units_take_any_letter_case(void **state)
{
    (void)state;
    assert_int_equal(parse("1H"), HOUR);
    assert_int_equal(parse("1 HoUrS"), HOUR);
    assert_int_equal(parse("2MSECS"), 2);
    assert_int_equal(parse("1MO"), MONTH);
    assert_int_equal(parse("1M"), 60000);
}

static void parts_add_up_in_any_order(void **state)
{
    (void)state;
    assert_int_equal(parse("10 hours 1m 5s"), 10 * HOUR + 65000);
    assert_int_equal(parse("5s 1m 10 hours"), 10 * HOUR + 65000);
    assert_int_equal(parse("1h30m"), HOUR + HOUR / 2);
    assert_int_equal(parse("2days"), 2 * DAY);
    assert_int_equal(parse("1y1mo1w1d1h1m1s1ms"), YEAR + MONTH + 8 * DAY + HOUR + 60000 + 1000 + 1);
}

static void repeated_units_add_up(void **state)
{
    (void)state;
    assert_int_equal(parse("1s 2s 3sec"), 6000);
    assert_int_equal(parse("1h1h1h"), 3 * HOUR);
}

static void white_space_is_allowed_anywhere_except_at_the_start(void **state)
{
    (void)state;
    assert_int_equal(parse("1 \t\r\nh \t\r\n30 m\n"), HOUR + HOUR / 2);
    assert_int_equal(parse("5 "), 5);
    assert_refused(" 1h", "a number is expected");
    assert_refused("\t1h", "a number is expected");
    assert_refused("1\vh", "a unit is expected");
    assert_refused("1\xc2\xa0h", "a unit is expected");
}

static void white_space_within_a_number_or_unit_is_refused(void **state)
{
    (void)state;
    assert_refused("1 0s", "a unit is expected");
    assert_refused("1. 5s", "a digit must follow the point");
    assert_refused("1 .5s", "a unit is expected");
    assert_refused("1 hou rs", "the unit is unknown");
}

static void a_lone_number_is_milliseconds(void **state)
{
    (void)state;
    assert_int_equal(parse("0"), 0);
    assert_int_equal(parse("1500"), 1500);
    assert_int_equal(parse("1.5"), 2);
    assert_int_equal(parse(".5"), 1);
    assert_int_equal(parse("007"), 7);
}

static void a_number_without_a_unit_beside_parts_is_refused(void **state)
{
    (void)state;
    assert_refused("1h 5", "a unit is expected");
    assert_refused("5 1h", "a unit is expected");
    assert_refused("5 5", "a unit is expected");
}

static void zero_in_any_spelling_is_zero(void **state)
{
    (void)state;
    assert_int_equal(parse("0s"), 0);
    assert_int_equal(parse("0.000y 0 h"), 0);
    assert_int_equal(parse("00000000000000000000000000000000"), 0);
    assert_int_equal(parse("0.0"), 0);
}

static void numbers_have_decimals(void **state)
{
    (void)state;
    assert_int_equal(parse("1.5h"), HOUR + HOUR / 2);
    assert_int_equal(parse(".5d"), DAY / 2);
    assert_int_equal(parse("0.1s"), 100);
    assert_int_equal(parse("1.0625d"), DAY + DAY / 16);
    assert_int_equal(parse("0.5mo"), MONTH / 2);
    assert_int_equal(parse("1h.5m"), HOUR + 30000);
}

static void numbers_that_break_the_grammar_are_refused(void **state)
{
    (void)state;
    assert_refused("", "a number is expected");
    assert_refused("soon", "a number is expected");
    assert_refused("h", "a number is expected");
    assert_refused("-1s", "a number is expected");
    assert_refused("-0", "a number is expected");
    assert_refused("+1s", "a number is expected");
    assert_refused("1e3", "the unit is unknown");
    assert_refused("1e3s", "the unit is unknown");
    assert_refused("1.s", "a digit must follow the point");
    assert_refused("1.", "a digit must follow the point");
    assert_refused(".", "a digit must follow the point");
    assert_refused("1.2.3s", "a unit is expected");
    assert_refused("1,5h", "a unit is expected");
    assert_refused("1h,", "a number is expected");
    assert_refused("1h and 5m", "a number is expected");
    assert_refused("0x10", "the unit is unknown");
    assert_refused("\xd9\xa1s", "a number is expected");
}

static void unknown_units_are_refused(void **state)
{
    (void)state;
    assert_refused("5 fortnights", "the unit is unknown");
    assert_refused("1hm", "the unit is unknown");
    assert_refused("1us", "the unit is unknown");
    assert_refused("1mss", "the unit is unknown");
    assert_refused("1millisecondss", "the unit is unknown");
    assert_refused("1hour s", "a number is expected");
}

static void a_nul_does_not_end_the_text(void **state)
{
    int64_t ms;
    const char *what;
    (void)state;
    assert_int_equal(kv_duration_parse(KV_SLICE("1s\0"), MAX_MS, &ms, &what), -1);
    assert_int_equal(kv_duration_parse(KV_SLICE("1s\0002s"), MAX_MS, &ms, &what), -1);
    assert_int_equal(kv_duration_parse(KV_SLICE("1ms\0"), MAX_MS, &ms, &what), -1);
}

static void a_slice_without_bytes_is_refused(void **state)
{
    int64_t ms;
    const char *what;
    (void)state;
    assert_int_equal(kv_duration_parse((struct kv_slice){0}, MAX_MS, &ms, &what), -1);
}

static void tenths_add_up_to_whole_milliseconds_exactly(void **state)
{
    (void)state;
    assert_int_equal(parse(".1ms.1ms.1ms.1ms.1ms.1ms.1ms.1ms.1ms.1ms"), 1);
    assert_int_equal(parse("0.0001s 0.0009s"), 1);
    assert_int_equal(parse("0.0001s 0.0009s 0.0001s"), 2);
    assert_int_equal(parse("0.1s 0.2s"), 300);
}

static void the_sum_is_rounded_up_once(void **state)
{
    (void)state;
    assert_int_equal(parse("0.5ms 0.5ms"), 1);
    assert_int_equal(parse("0.3ms 0.3ms 0.3ms"), 1);
    assert_int_equal(parse("0.4ms 0.4ms 0.4ms"), 2);
    assert_int_equal(parse("0.00000000000000000000000000001ms"), 1);
    assert_int_equal(parse("1.00000000000000000000000000001ms"), 2);
    assert_int_equal(parse("0.333ms 0.667ms"), 1);
    assert_int_equal(parse("0.333ms 0.668ms"), 2);
}

/* `0.<digit × n>`, then `last` and the unit. */
static void append_fraction(char *text, char digit, size_t n, const char *last)
{
    strcat(text, "0.");
    size_t len = strlen(text);
    memset(text + len, digit, n);
    text[len + n] = '\0';
    strcat(text, last);
}

static void thousands_of_decimals_are_exact(void **state)
{
    char *text = calloc(1, 30000);
    (void)state;
    append_fraction(text, '3', 9000, "3ms ");
    append_fraction(text, '6', 9000, "7ms");
    assert_int_equal(parse(text), 1);

    text[0] = '\0';
    append_fraction(text, '3', 9000, "3ms ");
    append_fraction(text, '6', 9000, "71ms");
    assert_int_equal(parse(text), 2);

    text[0] = '\0';
    append_fraction(text, '0', 9000, "1y");
    assert_int_equal(parse(text), 1);

    text[0] = '\0';
    append_fraction(text, '9', 9000, "y");
    assert_int_equal(parse(text), YEAR);
    free(text);
}

static void a_third_of_a_year_in_months_is_exact(void **state)
{
    (void)state;
    assert_int_equal(parse("12mo"), YEAR);
    assert_int_equal(parse("4 months"), YEAR / 3);
    assert_int_equal(parse("0.000000000001mo"), 1);
    assert_int_equal(parse("1.0000000001y"), YEAR + 4);
}

static void the_limit_itself_is_accepted(void **state)
{
    (void)state;
    assert_int_equal(parse("9007199254740991"), MAX_MS);
    assert_int_equal(parse("9007199254740990.5"), MAX_MS);
    assert_int_equal(parse("9007199254740990ms 1ms"), MAX_MS);
    assert_refused("9007199254740992", "is too long");
    assert_refused("9007199254740991.0001", "is too long");
    assert_refused("9007199254740991ms 0.0001ms", "is too long");
    assert_refused("285617y", "is too long");
}

static void a_smaller_limit_is_enforced(void **state)
{
    int64_t ms = 0;
    const char *what;
    (void)state;
    assert_int_equal(kv_duration_parse(KV_SLICE("1s"), 1000, &ms, &what), 0);
    assert_int_equal(kv_duration_parse(KV_SLICE("1001"), 1000, &ms, &what), -1);
    assert_int_equal(kv_duration_parse(KV_SLICE("9223372036854775807"), INT64_MAX, &ms, &what), 0);
    assert_int_equal(ms, INT64_MAX);
    assert_int_equal(kv_duration_parse(KV_SLICE("9223372036854775808"), INT64_MAX, &ms, &what), -1);
}

static void huge_numbers_do_not_wrap_around(void **state)
{
    char text[500];
    (void)state;
    memset(text, '9', sizeof(text));
    memcpy(text + sizeof(text) - 2, "y", 2);
    assert_refused(text, "is too long");
    assert_refused("18446744073709551616", "is too long");
    assert_refused("18446744073709551617ms", "is too long");
    assert_refused("584554531y", "is too long");
    assert_refused("18446744073709551615ms 1ms 1ms", "is too long");
    assert_refused("18446744073709551615ms 0.9ms 0.9ms", "is too long");
}

/* A part of at most nine decimals, as text and in billionths of a millisecond. */
static unsigned __int128 append_random_part(char *text)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"ms", 1},  {"s", 1000},    {"m", 60000},  {"h", HOUR},
                 {"d", DAY}, {"w", 7 * DAY}, {"mo", MONTH}, {"y", YEAR}};
    size_t unit = (size_t)rand() % 8;
    unsigned whole = (unsigned)rand() % (rand() % 2 ? 10 : 10000);
    int n_decimals = 1 + rand() % 9;
    unsigned ten_to_the_n = 1, billionths_each = 1000000000;
    for (int i = 0; i < n_decimals; i++) {
        ten_to_the_n *= 10;
        billionths_each /= 10;
    }
    unsigned decimals = (unsigned)rand() % ten_to_the_n;
    sprintf(text + strlen(text), "%u.%0*u%s%s%s", whole, n_decimals, decimals,
            rand() % 2 ? " " : "", units[unit].name, rand() % 2 ? "\n" : "");
    return ((unsigned __int128)whole * 1000000000 + (uint64_t)decimals * billionths_each) *
           units[unit].ms;
}

static void random_sums_equal_those_of_integers(void **state)
{
    (void)state;
    srand(11);
    for (int round = 0; round < 20000; round++) {
        char text[1024] = "";
        unsigned __int128 sum = 0;
        for (int parts = 1 + rand() % 12; parts > 0; parts--)
            sum += append_random_part(text);
        int64_t expected = (int64_t)((sum + 999999999) / 1000000000);
        assert_int_equal(parse(text), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_unit_has_its_length),
        cmocka_unit_test(units_take_any_letter_case),
        cmocka_unit_test(parts_add_up_in_any_order),
        cmocka_unit_test(repeated_units_add_up),
        cmocka_unit_test(white_space_is_allowed_anywhere_except_at_the_start),
        cmocka_unit_test(white_space_within_a_number_or_unit_is_refused),
        cmocka_unit_test(a_lone_number_is_milliseconds),
        cmocka_unit_test(a_number_without_a_unit_beside_parts_is_refused),
        cmocka_unit_test(zero_in_any_spelling_is_zero),
        cmocka_unit_test(numbers_have_decimals),
        cmocka_unit_test(numbers_that_break_the_grammar_are_refused),
        cmocka_unit_test(unknown_units_are_refused),
        cmocka_unit_test(a_nul_does_not_end_the_text),
        cmocka_unit_test(a_slice_without_bytes_is_refused),
        cmocka_unit_test(tenths_add_up_to_whole_milliseconds_exactly),
        cmocka_unit_test(the_sum_is_rounded_up_once),
        cmocka_unit_test(thousands_of_decimals_are_exact),
        cmocka_unit_test(a_third_of_a_year_in_months_is_exact),
        cmocka_unit_test(the_limit_itself_is_accepted),
        cmocka_unit_test(a_smaller_limit_is_enforced),
        cmocka_unit_test(huge_numbers_do_not_wrap_around),
        cmocka_unit_test(random_sums_equal_those_of_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
