/* `host[:port]`: its syntax, and which hosts denote this machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/authority.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void a_host_may_have_a_port(void **state)
{
    static const struct {
        const char *text, *host, *port;
    } cases[] = {
        {"", "", ""},
        {"a", "a", ""},
        {"a:", "a", ""},
        {"a:0", "a", "0"},
        {"a:65535", "a", "65535"},
        {":80", "", "80"},
        {"www.Example.org:00080", "www.Example.org", "00080"},
        {"under_score.~x!$&'()*+,;=", "under_score.~x!$&'()*+,;=", ""},
        {"%C3%a4.de:1", "%C3%a4.de", "1"},
        {"127.0.0.1:3000", "127.0.0.1", "3000"},
        {"[::1]", "[::1]", ""},
        {"[::ffff:127.0.0.1]:80", "[::ffff:127.0.0.1]", "80"},
        {"[2001:db8::1]:", "[2001:db8::1]", ""},
    };
    (void)state;
    for (size_t i = 0; i < N(cases); i++) {
        struct kv_authority authority;
        if (!kv_authority_parse(kv_slice_of(cases[i].text), &authority))
            fail_msg("refused: %s", cases[i].text);
        assert_true(kv_slice_equals(authority.host, kv_slice_of(cases[i].host)));
        assert_true(kv_slice_equals(authority.port, kv_slice_of(cases[i].port)));
    }
}

static void malformed_authorities_are_refused(void **state)
{
    static const char *const texts[] = {
        "a:b",       "a:65536", "a:99999999999999999999",
        "a:80:80",   "a:-1",    "a:+1",
        "a b",       "a/b",     "user@a",
        "http://a",  "a#b",     "a?b",
        "\xc3\xa4",  "%zz",     "%4",
        "a\"b",      "a\\b",    "<a>",
        "::1",       "[::1",    "[]",
        "[g::1]",    "[::1]80", "[::1%25eth0]",
        "[1.2.3.4]", "a,b:c",   "a\tb",
        "a\x01",     "{a}",     "a^b",
    };
    (void)state;
    for (size_t i = 0; i < N(texts); i++) {
        struct kv_authority authority;
        if (kv_authority_parse(kv_slice_of(texts[i]), &authority))
            fail_msg("taken: %s", texts[i]);
    }
}

static void only_full_spellings_of_loopback_are_recognized(void **state)
{
    static const char *const loopback[] = {
        "localhost", "LocalHost",         "127.0.0.1", "127.255.0.254",
        "[::1]",     "[0:0:0:0:0:0:0:1]", "[::0001]",  "[::ffff:127.0.0.1]"};
    static const char *const others[] = {
        "",
        "localhost.",
        "localhost.example",
        "127.0.0.1.example",
        "127.1",
        "0.0.0.0",
        "128.0.0.1",
        "[::]",
        "[::2]",
        "::1",
        "2130706433",
        "[127.0.0.1]",
        "[::ffff:8.8.8.8]",
        "0x7f.0.0.1",
        "a.localhost",
    };
    (void)state;
    for (size_t i = 0; i < N(loopback); i++)
        assert_true(kv_authority_is_loopback(kv_slice_of(loopback[i])));
    for (size_t i = 0; i < N(others); i++)
        assert_false(kv_authority_is_loopback(kv_slice_of(others[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_may_have_a_port),
        cmocka_unit_test(malformed_authorities_are_refused),
        cmocka_unit_test(only_full_spellings_of_loopback_are_recognized),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
