/* The negotiation of permessage-deflate: RFC 7692, sections 5.1 and 7.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/deflate_offer.h"

#define ALWAYS "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

static const char *answer_to(const char *line)
{
    static char room[KV_DEFLATE_LONGEST_ANSWER];
    struct kv_deflate_terms terms = {0};
    if (kv_deflate_offer_read(kv_slice_of(line), &terms) != 0)
        return "malformed";
    struct kv_slice answer = kv_deflate_offer_answer(&terms, room);
    room[answer.len] = '\0';
    return room;
}

static void offers_are_accepted_in_order(void **state)
{
    static const struct {
        const char *line, *answer;
    } cases[] = {
        {"permessage-deflate", ALWAYS},
        {"PerMessage-Deflate", ALWAYS},
        {"permessage-deflate; client_max_window_bits", ALWAYS},
        {"permessage-deflate;client_max_window_bits=9;server_no_context_takeover", ALWAYS},
        {"permessage-deflate ; client_no_context_takeover ;\tCLIENT_MAX_WINDOW_BITS = \"15\"",
         ALWAYS},
        {"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
         ALWAYS "; server_max_window_bits=12"},
        {"permessage-deflate; server_max_window_bits=15", ALWAYS "; server_max_window_bits=15"},
        {"permessage-deflate; server_max_window_bits=\"1\\0\"",
         ALWAYS "; server_max_window_bits=10"},
        {"permessage-deflate; server_max_window_bits=8", ALWAYS "; server_max_window_bits=8"},
        {"x-webkit-deflate-frame, permessage-deflate", ALWAYS},
        {"foo; bar=\"baz\", , permessage-deflate,", ALWAYS},
        {"permessage-deflate; server_max_window_bits=10, permessage-deflate",
         ALWAYS "; server_max_window_bits=10"},
        {"permessage-deflate; server_max_window_bits=7, permessage-deflate", ALWAYS},
        {"permessage-deflate; use_tomorrows_window, permessage-deflate; server_max_window_bits=11",
         ALWAYS "; server_max_window_bits=11"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(answer_to(cases[i].line), cases[i].answer);
}

static void unacceptable_offers_are_declined(void **state)
{
    static const char *const lines[] = {
        "",
        "permessage-bzip2",
        "permessage-deflate2",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits=010",
        "permessage-deflate; server_max_window_bits=1a",
        "permessage-deflate; server_max_window_bits=-9",
        "permessage-deflate; server_max_window_bits=264",
        "permessage-deflate; client_max_window_bits=0",
        "permessage-deflate; client_max_window_bits=99999999999999999999",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
        "permessage-deflate; server_no_context_takeover; SERVER_NO_CONTEXT_TAKEOVER",
        "permessage-deflate; level=9",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_string_equal(answer_to(lines[i]), "");
}

static void malformed_extension_lists_are_refused(void **state)
{
    static const char *const lines[] = {
        ";",
        "permessage-deflate;",
        "permessage-deflate; =10",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits=\"\"",
        "permessage-deflate; server_max_window_bits=\"10",
        "permessage-deflate; server_max_window_bits=\"10\\",
        "permessage-deflate; server_max_window_bits=\"1 0\"",
        "permessage-deflate; server_max_window_bits=10 11",
        "permessage-deflate client_max_window_bits",
        "permessage-deflate, foo/bar",
        "per message, permessage-deflate",
        "\"permessage-deflate\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_string_equal(answer_to(lines[i]), "malformed");
}

static void several_header_lines_form_one_list(void **state)
{
    struct kv_deflate_terms terms = {0};
    (void)state;
    assert_int_equal(kv_deflate_offer_read(KV_SLICE("permessage-deflate; x"), &terms), 0);
    assert_int_equal(terms.window_bits, 0);
    assert_int_equal(
        kv_deflate_offer_read(KV_SLICE("permessage-deflate; server_max_window_bits=9"), &terms), 0);
    assert_int_equal(kv_deflate_offer_read(KV_SLICE("permessage-deflate"), &terms), 0);
    assert_int_equal(terms.window_bits, 9);
    assert_int_equal(kv_deflate_offer_read(KV_SLICE("permessage-deflate;"), &terms), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offers_are_accepted_in_order),
        cmocka_unit_test(unacceptable_offers_are_declined),
        cmocka_unit_test(malformed_extension_lists_are_refused),
        cmocka_unit_test(several_header_lines_form_one_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
