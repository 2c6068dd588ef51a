/* PROXY headers and X-Forwarded-For; addresses and their ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/forwarded_for.h"
#include "wire/proxy_header.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static void addresses_are_read_and_malformed_ones_refused(void **state)
{
    static const char *const good[] = {"10.0.0.1", "::1", "2001:db8::1", "::ffff:10.0.0.1"};
    static const char *const bad[] = {"",      "10.0.0", "10.0.0.1 ",   "10.0.0.256",  "localhost",
                                      "[::1]", "::g",    "10.0.0.1:80", "fe80::1%eth0"};
    (void)state;
    struct kv_address address;
    for (size_t i = 0; i < N(good); i++)
        assert_true(kv_address_read(kv_slice_of(good[i]), &address));
    assert_int_equal(address.len, 4); /* the last one is written as IPv6 */
    for (size_t i = 0; i < N(bad); i++)
        assert_false(kv_address_read(kv_slice_of(bad[i]), &address));
}

static bool has(const char *range, const char *address)
{
    struct kv_address_range read;
    struct kv_address one;
    assert_true(kv_address_range_read(kv_slice_of(range), &read));
    assert_true(kv_address_read(kv_slice_of(address), &one));
    return kv_address_range_has(&read, &one);
}

static void a_range_contains_the_addresses_with_its_leading_bits(void **state)
{
    (void)state;
    assert_true(has("10.0.0.0/8", "10.255.0.1"));
    assert_false(has("10.0.0.0/8", "11.0.0.1"));
    assert_true(has("10.0.0.128/25", "10.0.0.200"));
    assert_false(has("10.0.0.128/25", "10.0.0.127"));
    assert_true(has("0.0.0.0/0", "1.2.3.4"));
    assert_false(has("0.0.0.0/0", "::1"));
    assert_true(has("::/0", "2001:db8::1"));
    assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(has("10.0.0.1", "10.0.0.1"));
    assert_false(has("10.0.0.1", "10.0.0.2"));
    assert_true(has("10.0.0.1", "::ffff:10.0.0.1"));
}

static void malformed_ranges_are_refused(void **state)
{
    static const char *const bad[] = {"",        "10.0.0.0/",   "10.0.0.0/33", "10.0.0.1/8",
                                      "::1/129", "10.0.0.0/08", "10.0.0.0/-1", "10.0.0.0/8/8",
                                      "/8",      "10.0.0.0 /8", "::1/0001",    "a/8"};
    (void)state;
    struct kv_address_range range;
    for (size_t i = 0; i < N(bad); i++)
        assert_false(kv_address_range_read(kv_slice_of(bad[i]), &range));
}

static enum kv_proxy_header_status read_text(const char *text, struct kv_proxy_header *ret)
{
    return kv_proxy_header_read(kv_slice_of(text), ret);
}

static void a_text_header_names_the_client(void **state)
{
    (void)state;
    struct kv_proxy_header header;
    struct kv_address expected;
    assert_int_equal(read_text("PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\nGET", &header),
                     KV_PROXY_HEADER_WHOLE);
    assert_int_equal(header.len, 41);
    assert_true(kv_address_read(KV_SLICE("192.0.2.1"), &expected));
    assert_memory_equal(&header.client, &expected, sizeof(expected));
    assert_int_equal(read_text("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", &header),
                     KV_PROXY_HEADER_WHOLE);
    assert_int_equal(header.client.len, 16);
    assert_int_equal(read_text("PROXY UNKNOWN\r\n", &header), KV_PROXY_HEADER_WHOLE);
    assert_int_equal(header.client.len, 0);
    assert_int_equal(read_text("PROXY UNKNOWN ff::1 whatever 1 2\r\n", &header),
                     KV_PROXY_HEADER_WHOLE);
}

static void a_malformed_text_header_is_refused(void **state)
{
    static const char *const bad[] = {
        "PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1000\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1000 443 \r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 1000 443\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 01 443\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        "PROXY TCP4 ::1 192.0.2.2 1 2\r\n",
        "PROXY TCP6 192.0.2.1 ::1 1 2\r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY \r\n",
        ("PROXY UNKNOWN 0123456789012345678901234567890123456789012345678901234567890123456789"
         "012345678901234567890123456789\r\n"),
    };
    (void)state;
    struct kv_proxy_header header;
    for (size_t i = 0; i < N(bad); i++)
        if (read_text(bad[i], &header) != KV_PROXY_HEADER_MALFORMED)
            fail_msg("accepted: %s", bad[i]);
}

static void input_without_the_signature_is_no_header(void **state)
{
    (void)state;
    struct kv_proxy_header header;
    assert_int_equal(read_text("GET / HTTP/1.1\r\n", &header), KV_PROXY_HEADER_ABSENT);
    assert_int_equal(read_text("PUT / HTTP/1.1\r\n", &header), KV_PROXY_HEADER_ABSENT);
    assert_int_equal(read_text("proxy UNKNOWN\r\n", &header), KV_PROXY_HEADER_ABSENT);
    assert_int_equal(read_text("\r\nGET / HTTP/1.1\r\n", &header), KV_PROXY_HEADER_ABSENT);
    assert_int_equal(read_text("P", &header), KV_PROXY_HEADER_PARTIAL);
    assert_int_equal(read_text("\r\n", &header), KV_PROXY_HEADER_PARTIAL);
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static enum kv_proxy_header_status read_binary(struct kv_slice rest, struct kv_proxy_header *ret)
{
    char bytes[512] = SIGNATURE;
    memcpy(bytes + 12, rest.bytes, rest.len);
    return kv_proxy_header_read((struct kv_slice){bytes, 12 + rest.len}, ret);
}

static void a_binary_header_names_the_client(void **state)
{
    (void)state;
    struct kv_proxy_header header;
    assert_int_equal(
        read_binary(KV_SLICE("\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x03\xe8\x01\xbbGET"), &header),
        KV_PROXY_HEADER_WHOLE);
    assert_int_equal(header.len, 28);
    assert_memory_equal(header.client.bytes, "\xc0\0\2\1", 4);
    assert_int_equal(read_binary(KV_SLICE("\x20\0\0\0"), &header), KV_PROXY_HEADER_WHOLE);
    assert_int_equal(header.client.len, 0);
    assert_int_equal(read_binary(KV_SLICE("\x21\x11\0\x0e\1\2\3\4\5\6\7\x08\0\1\0\2\3\0"), &header),
                     KV_PROXY_HEADER_WHOLE); /* data after the addresses is skipped */
    assert_int_equal(header.len, 30);
}

static void a_malformed_binary_header_is_refused(void **state)
{
    (void)state;
    struct kv_proxy_header header;
    assert_int_equal(read_binary(KV_SLICE("\x11\x11\0\x0c"), &header), KV_PROXY_HEADER_MALFORMED);
    assert_int_equal(read_binary(KV_SLICE("\x22\x11\0\x0c"), &header), KV_PROXY_HEADER_MALFORMED);
    assert_int_equal(read_binary(KV_SLICE("\x21\x12\0\x0c"), &header), KV_PROXY_HEADER_MALFORMED);
    assert_int_equal(read_binary(KV_SLICE("\x21\x11\0\x0b"), &header), KV_PROXY_HEADER_MALFORMED);
    assert_int_equal(read_binary(KV_SLICE("\x21\x11\xff\xff"), &header), KV_PROXY_HEADER_MALFORMED);
    assert_int_equal(read_binary(KV_SLICE("\x21\x11\0\x0c\1\2"), &header), KV_PROXY_HEADER_PARTIAL);
}

static void the_last_forwarded_address_is_taken(void **state)
{
    (void)state;
    struct kv_slice list = KV_SLICE("192.0.2.1:80 ,\t2001:db8::1, [::1]:80,10.0.0.1");
    struct kv_address address, expected;
    static const char *const order[] = {"10.0.0.1", "::1", "2001:db8::1", "192.0.2.1"};
    for (size_t i = 0; i < N(order); i++) {
        assert_true(kv_forwarded_for_take_last(&list, &address));
        assert_true(kv_address_read(kv_slice_of(order[i]), &expected));
        assert_memory_equal(&address, &expected, sizeof(expected));
    }
    assert_false(kv_forwarded_for_take_last(&list, &address));
    list = KV_SLICE("10.0.0.1, unknown");
    assert_false(kv_forwarded_for_take_last(&list, &address));
    list = KV_SLICE("[::1");
    assert_false(kv_forwarded_for_take_last(&list, &address));
    list = KV_SLICE(",");
    assert_false(kv_forwarded_for_take_last(&list, &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_malformed_ones_refused),
        cmocka_unit_test(a_range_contains_the_addresses_with_its_leading_bits),
        cmocka_unit_test(malformed_ranges_are_refused),
        cmocka_unit_test(a_text_header_names_the_client),
        cmocka_unit_test(a_malformed_text_header_is_refused),
        cmocka_unit_test(input_without_the_signature_is_no_header),
        cmocka_unit_test(a_binary_header_names_the_client),
        cmocka_unit_test(a_malformed_binary_header_is_refused),
        cmocka_unit_test(the_last_forwarded_address_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
