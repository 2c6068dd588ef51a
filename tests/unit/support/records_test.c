/* The check of TLS records: it must notice any byte in clear. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/client/records.h"

#define HELLO                                                                                      \
    "\x16\x03\x03\x00\x04"                                                                         \
    "abcd"
#define ALERT "\x15\x03\x03\x00\x02\x02\x28"
#define SECRET                                                                                     \
    "\x17\x03\x03\x00\x14"                                                                         \
    "01234567890123456789"
#define ENCRYPTED                                                                                  \
    "\x15\x03\x03\x00\x1a"                                                                         \
    "01234567890123456789abcdef"

static bool is_refused_in_pieces(struct kv_slice bytes, enum kv_test_keys keys, size_t piece)
{
    struct kv_test_records records = {0};
    while (bytes.len != 0) {
        size_t n = bytes.len < piece ? bytes.len : piece;
        kv_test_records_add(&records, (struct kv_slice){bytes.bytes, n}, keys);
        bytes = (struct kv_slice){bytes.bytes + n, bytes.len - n};
    }
    return records.has_fault;
}

static void expect(struct kv_slice bytes, enum kv_test_keys keys, bool is_refused)
{
    for (size_t piece = 1; piece <= bytes.len; piece++)
        assert_int_equal(is_refused_in_pieces(bytes, keys, piece), is_refused);
}

static void records_of_a_handshake_may_be_in_clear(void **state)
{
    (void)state;
    expect(KV_SLICE(HELLO SECRET), KV_TEST_NO_KEYS, false);
    expect(KV_SLICE(HELLO ALERT), KV_TEST_NO_KEYS, false);
    expect(KV_SLICE(HELLO "\x17\x03"), KV_TEST_NO_KEYS, false);
}

static void text_is_refused(void **state)
{
    (void)state;
    for (enum kv_test_keys keys = KV_TEST_NO_KEYS; keys <= KV_TEST_KEYS_1_3; keys++) {
        expect(KV_SLICE("HTTP/1.1 400"), keys, true);
        expect(KV_SLICE(SECRET "HTTP/1.1 400"), keys, true);
        expect(KV_SLICE("H"), keys, true);
    }
}

static void records_in_clear_are_refused_once_there_are_keys(void **state)
{
    (void)state;
    expect(KV_SLICE(SECRET SECRET), KV_TEST_KEYS_1_3, false);
    expect(KV_SLICE(SECRET ALERT), KV_TEST_KEYS_1_3, true);
    expect(KV_SLICE(ENCRYPTED), KV_TEST_KEYS_1_3, true);
    expect(KV_SLICE(SECRET ENCRYPTED), KV_TEST_KEYS_1_2, false);
    expect(KV_SLICE(SECRET ALERT), KV_TEST_KEYS_1_2, true);
}

static void lengths_of_no_record_are_refused(void **state)
{
    (void)state;
    expect(KV_SLICE("\x17\x03\x03\x41\x01"), KV_TEST_KEYS_1_3, true);
    expect(KV_SLICE("\x17\x03\x03\x48\x01"), KV_TEST_KEYS_1_2, true);
    expect(KV_SLICE("\x16\x03\x03\x00\x00"), KV_TEST_NO_KEYS, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_a_handshake_may_be_in_clear),
        cmocka_unit_test(text_is_refused),
        cmocka_unit_test(records_in_clear_are_refused_once_there_are_keys),
        cmocka_unit_test(lengths_of_no_record_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
