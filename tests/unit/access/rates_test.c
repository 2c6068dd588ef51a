/* Rate limits: how many requests a client may send, and which clients are remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "access/rates.h"
#include "base/hash.h"

#define SECOND INT64_C(1000000000)

#define REQUESTS KV_METERED_REQUESTS

static struct kv_meters *meters;

static int set_up(void **state)
{
    (void)state;
    kv_hash_init();
    meters = kv_meters_create();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kv_meters_destroy(meters);
    return 0;
}

static struct kv_meter *meter_of(const char *name, int64_t now_ns)
{
    return kv_meters_of_name(meters, KV_SLICE(""), kv_slice_of(name), now_ns);
}

static struct kv_meter *meter_at(const char *text, int64_t now_ns)
{
    struct kv_address address;
    assert_true(kv_address_read(kv_slice_of(text), &address));
    return kv_meters_of_address(meters, &address, now_ns);
}

static void a_burst_may_use_a_whole_period(void **state)
{
    const struct kv_rate rate = kv_rate_of(10, SECOND);
    (void)state;
    struct kv_meter *meter = meter_of("ann", 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(kv_meter_take(meter, REQUESTS, &rate, 5 * SECOND), 0);
    assert_int_equal(kv_meter_take(meter, REQUESTS, &rate, 5 * SECOND), SECOND / 10);
    assert_int_equal(kv_meter_take(meter, REQUESTS, &rate, 5 * SECOND + SECOND / 10), 0);
    assert_int_not_equal(kv_meter_take(meter, REQUESTS, &rate, 5 * SECOND + SECOND / 10), 0);
    assert_int_equal(kv_meter_take(meter, KV_METERED_CONNECTIONS, &rate, 5 * SECOND), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(kv_meter_take(meter, REQUESTS, &rate, 9 * SECOND), 0);
    assert_int_not_equal(kv_meter_take(meter, REQUESTS, &rate, 9 * SECOND), 0);
    kv_meter_put(meter);
}

static void without_a_rate_requests_are_unlimited(void **state)
{
    const struct kv_rate rate = {0};
    (void)state;
    struct kv_meter *meter = meter_of("ann", 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(kv_meter_take(meter, REQUESTS, &rate, 0), 0);
    kv_meter_put(meter);
}

static void addresses_of_one_ipv6_network_share_a_meter(void **state)
{
    static const char *const texts[] = {"2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1",
                                        "10.0.0.1", "10.0.0.2"};
    struct kv_meter *found[5];
    (void)state;
    for (size_t i = 0; i < 5; i++)
        found[i] = meter_at(texts[i], 0);
    assert_ptr_equal(found[0], found[1]);
    assert_int_equal(kv_meters_count(meters), 4);
    for (size_t i = 0; i < 5; i++)
        kv_meter_put(found[i]);
}

static void names_of_different_issuers_are_metered_separately(void **state)
{
    (void)state;
    struct kv_meter *a = kv_meters_of_name(meters, KV_SLICE("ab"), KV_SLICE("c"), 0);
    struct kv_meter *b = kv_meters_of_name(meters, KV_SLICE("a"), KV_SLICE("bc"), 0);
    assert_ptr_not_equal(a, b);
    kv_meter_put(a);
    kv_meter_put(b);
}

static void meter_is_kept_until_it_is_full_again(void **state)
{
    const struct kv_rate rate = kv_rate_of(1, SECOND);
    (void)state;
    struct kv_meter *meter = meter_of("ann", 0);
    assert_int_equal(kv_meter_take(meter, REQUESTS, &rate, 0), 0);
    kv_meter_put(meter);
    meter = meter_of("ann", SECOND / 2);
    assert_int_not_equal(kv_meter_take(meter, REQUESTS, &rate, SECOND / 2), 0);
    kv_meter_put(meter);
    kv_meter_put(meter_of("bo", SECOND * 2));
    assert_int_equal(kv_meters_count(meters), 1);
}

static void the_number_of_meters_is_bounded(void **state)
{
    char name[32];
    (void)state;
    struct kv_meter **held = calloc(KV_MOST_METERS, sizeof(*held));
    for (int i = 0; i < KV_MOST_METERS; i++) {
        snprintf(name, sizeof(name), "%d", i);
        held[i] = meter_of(name, 0);
    }
    struct kv_meter *one = meter_of("one more", 0), *another = meter_of("another", 0);
    assert_ptr_equal(one, another);
    assert_int_equal(kv_meters_count(meters), KV_MOST_METERS);
    kv_meter_put(one);
    kv_meter_put(another);
    kv_meter_put(held[0]);
    one = meter_of("one more", 0);
    assert_ptr_not_equal(one, another);
    assert_int_equal(kv_meters_count(meters), KV_MOST_METERS);
    kv_meter_put(one);
    for (int i = 1; i < KV_MOST_METERS; i++)
        kv_meter_put(held[i]);
    free(held);
}

static void connections_are_counted(void **state)
{
    (void)state;
    struct kv_meter *meter = meter_of("ann", 0);
    kv_meter_join(meter);
    assert_true(kv_meter_has_room(meter, 2));
    kv_meter_join(meter);
    assert_false(kv_meter_has_room(meter, 2));
    assert_true(kv_meter_has_room(meter, 0));
    kv_meter_leave(meter);
    assert_true(kv_meter_has_room(meter, 2));
    kv_meter_leave(meter);
    kv_meter_put(meter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_burst_may_use_a_whole_period, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_rate_requests_are_unlimited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addresses_of_one_ipv6_network_share_a_meter, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(names_of_different_issuers_are_metered_separately, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(meter_is_kept_until_it_is_full_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_number_of_meters_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connections_are_counted, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
