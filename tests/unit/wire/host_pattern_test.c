/* Lists of allowed hosts and origins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/host_pattern.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void a_listed_host_is_a_host_or_a_pattern(void **state)
{
    static const char *const valid[] = {"*", "example.org", "*.example.org", "10.0.0.1", "[::1]"};
    static const char *const invalid[] = {"",     "*.",       "**",  "a.*.org", "*example.org",
                                          "a:80", "http://a", "a b", "a/",      "*.a:80",
                                          "[::1", "*.*.a"};
    (void)state;
    for (size_t i = 0; i < N(valid); i++)
        assert_true(kv_host_pattern_is_valid(kv_slice_of(valid[i])));
    for (size_t i = 0; i < N(invalid); i++)
        if (kv_host_pattern_is_valid(kv_slice_of(invalid[i])))
            fail_msg("valid: %s", invalid[i]);
}

static void a_host_matches_its_pattern(void **state)
{
    static const struct {
        const char *pattern, *host;
        bool matches;
    } cases[] = {
        {"*", "anything", true},
        {"*", "", true},
        {"Example.org", "eXample.ORG", true},
        {"example.org", "a.example.org", false},
        {"example.org", "example.org.", false},
        {"*.example.org", "a.example.org", true},
        {"*.example.org", "A.b.Example.org", true},
        {"*.example.org", "example.org", false},
        {"*.example.org", ".example.org", false},
        {"*.example.org", "evilexample.org", false},
        {"*.example.org", "a.example.org.evil", false},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++)
        if (kv_host_pattern_matches(kv_slice_of(cases[i].pattern), kv_slice_of(cases[i].host)) !=
            cases[i].matches)
            fail_msg("%s and %s", cases[i].pattern, cases[i].host);
}

static void a_listed_origin_is_an_origin_or_a_pattern(void **state)
{
    static const char *const valid[] = {"*",
                                        "https://example.org",
                                        "http://example.org:81",
                                        "https://*.example.org",
                                        "https://*.example.org:81",
                                        "http://[::1]:3000",
                                        "app+x://a"};
    static const char *const invalid[] = {"",
                                          "null",
                                          "all",
                                          "example.org",
                                          "https://",
                                          "://a",
                                          "https://example.org/",
                                          "https://*example.org",
                                          "https://a.*.org",
                                          "https://*",
                                          "https://*:8443",
                                          "https://*.*",
                                          "https://*.",
                                          "https://a:x",
                                          "https://a b",
                                          "https://u@a"};
    (void)state;
    for (size_t i = 0; i < N(valid); i++)
        assert_true(kv_origin_pattern_is_valid(kv_slice_of(valid[i])));
    for (size_t i = 0; i < N(invalid); i++)
        if (kv_origin_pattern_is_valid(kv_slice_of(invalid[i])))
            fail_msg("valid: %s", invalid[i]);
}

static void an_origin_matches_its_pattern(void **state)
{
    static const struct {
        const char *pattern, *origin;
        bool matches;
    } cases[] = {
        {"*", "https://a", true},
        {"*", "null", true},
        {"null", "null", true},
        {"https://Example.org", "HTTPS://example.org", true},
        {"https://example.org", "http://example.org", false},
        {"https://example.org", "https://example.org:443", false},
        {"https://*.example.org", "https://a.example.org", true},
        {"https://*.example.org", "https://A.b.Example.org", true},
        {"https://*.example.org", "https://example.org", false},
        {"https://*.example.org", "http://a.example.org", false},
        {"https://*.example.org", "https://a.example.org:444", false},
        {"https://*.example.org:444", "https://a.example.org:444", true},
        {"https://*.example.org:444", "https://a.example.org", false},
        {"https://*.example.org", "https://evil/a.example.org", false},
        {"https://*.example.org", "https://evil?.example.org", false},
        {"https://*.example.org", "https://evil#.example.org", false},
        {"https://*.example.org", "https://u@a.example.org", false},
        {"https://*.example.org", "https://a.example.org.evil", false},
        {"https://*.example.org", "null", false},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++)
        if (kv_origin_pattern_matches(kv_slice_of(cases[i].pattern),
                                      kv_slice_of(cases[i].origin)) != cases[i].matches)
            fail_msg("%s and %s", cases[i].pattern, cases[i].origin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listed_host_is_a_host_or_a_pattern),
        cmocka_unit_test(a_host_matches_its_pattern),
        cmocka_unit_test(a_listed_origin_is_an_origin_or_a_pattern),
        cmocka_unit_test(an_origin_matches_its_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
