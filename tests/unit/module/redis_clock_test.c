/*
 * Deadlines by Redis's clock, which a server knows from readings that take a while. Its own clock
 * is read in whole milliseconds; both go on in microseconds here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "clock.h"

enum {
    US = 1000, /* a millisecond */
    ROUNDS = 500,
    READINGS = 40,
    TTL_MS = 60000,
    MOST_PAUSE_US = 300000,
};

static int64_t now_us; /* of the host's clock */

static int64_t now_ms(const struct kv_host *host)
{
    (void)host;
    return now_us / US;
}

static const struct kv_store_host host = {.base = {.now_ms = now_ms}};
static unsigned seed = 1;

static int64_t draw(int64_t n)
{
    return (int64_t)rand_r(&seed) % n;
}

/* A round trip of up to `most_us`, somewhere within which Redis reads its clock. */
static void read_clock(struct kv_store *store, int64_t ahead_us, int64_t most_us)
{
    int64_t asked_ms = now_us / US;
    int64_t there_us = draw(most_us);
    now_us += there_us;
    int64_t redis_us = now_us + ahead_us;
    now_us += draw(most_us);
    clock_take(store, redis_us, asked_ms);
}

/* The moment of the host's clock at which Redis's reaches the millisecond. */
static int64_t host_us(int64_t redis_ms, int64_t ahead_us)
{
    return redis_ms * US - ahead_us;
}

static struct kv_store a_store(void)
{
    now_us = 100 * INT64_C(3600) * 1000 * US + draw(1000 * US);
    return (struct kv_store){.host = &host};
}

static int64_t some_difference(void)
{
    return (draw(2) == 0 ? 1 : -1) * draw(3600 * INT64_C(1000) * US);
}

static void check_deadline(const struct kv_store *store, int64_t ahead_us, int64_t most_late_us)
{
    int64_t deadline_ms = now_us / US + 1 + TTL_MS;
    int64_t redis_ms = clock_to_redis(store, deadline_ms);
    int64_t late_us = host_us(redis_ms, ahead_us) - deadline_ms * US;
    assert_true(late_us >= 0);
    assert_true(late_us <= most_late_us);
    assert_int_equal(clock_to_host(store, redis_ms), deadline_ms);
}

static void a_key_expires_late_but_never_early(void **state)
{
    (void)state;
    static const int64_t round_trips_us[] = {100, US, 20 * US};
    for (int i = 0; i < ROUNDS; i++) {
        struct kv_store store = a_store();
        int64_t ahead_us = some_difference(), trip_us = round_trips_us[i % 3];
        for (int j = 0; j < READINGS; j++) {
            read_clock(&store, ahead_us, trip_us);
            check_deadline(&store, ahead_us, 2 * trip_us + 4 * US);
            now_us += draw(MOST_PAUSE_US);
        }
        check_deadline(&store, ahead_us, trip_us + 3 * US);
    }
}

static void a_deadline_is_between_two_of_the_host(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct kv_store store = a_store();
        int64_t ahead_us = some_difference();
        read_clock(&store, ahead_us, 5 * US);
        int64_t redis_ms = (now_us + ahead_us) / US + 10;
        int64_t due_us = host_us(redis_ms, ahead_us);
        assert_true(clock_to_host(&store, redis_ms) * US <= due_us);
        assert_in_range(clock_latest_to_host(&store, redis_ms) * US, due_us, due_us + 12 * US);
    }
}

static void a_clock_that_goes_faster_is_followed(void **state)
{
    (void)state;
    struct kv_store store = a_store();
    int64_t ahead_us = 7 * US;
    read_clock(&store, ahead_us, US);
    for (int i = 0; i < ROUNDS; i++) {
        int64_t before_us = now_us;
        now_us += draw(MOST_PAUSE_US);
        ahead_us += (i < ROUNDS / 2 ? 1 : -1) * (now_us - before_us) / 1000;
        check_deadline(&store, ahead_us, 6 * US);
        read_clock(&store, ahead_us, US);
        check_deadline(&store, ahead_us, 6 * US);
    }
}

/* A lease knows by its deadline that nobody else has set another one. */
static void deadlines_come_back_within_the_tolerance(void **state)
{
    (void)state;
    struct kv_store store = a_store();
    int64_t ahead_us = some_difference();
    for (int i = 0; i < ROUNDS; i++) {
        int64_t trip_us = i % 20 < 15 ? 20 * US : 100; /* it was busy for a while */
        read_clock(&store, ahead_us, trip_us);
        int64_t deadline_ms = now_us / US + TTL_MS;
        int64_t redis_ms = clock_to_redis(&store, deadline_ms);
        now_us += draw(MOST_PAUSE_US);
        read_clock(&store, ahead_us, 100);
        int64_t back_ms = clock_to_host(&store, redis_ms);
        assert_true(llabs((long long)(back_ms - deadline_ms)) <= clock_inexact_ms());
    }
}

static void a_clock_that_was_set_is_believed_at_once(void **state)
{
    (void)state;
    struct kv_store store = a_store();
    read_clock(&store, 0, US);
    for (int sign = -1; sign <= 1; sign += 2) {
        int64_t ahead_us = sign * 3600 * INT64_C(1000) * US;
        read_clock(&store, ahead_us, US);
        check_deadline(&store, ahead_us, 4 * US);
    }
}

static void no_deadline_is_none_of_redis(void **state)
{
    (void)state;
    struct kv_store store = a_store();
    read_clock(&store, 0, US);
    assert_int_equal(clock_to_redis(&store, KV_NEVER), 0);
    assert_int_equal(clock_to_host(&store, 0), KV_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_expires_late_but_never_early),
        cmocka_unit_test(a_deadline_is_between_two_of_the_host),
        cmocka_unit_test(a_clock_that_goes_faster_is_followed),
        cmocka_unit_test(deadlines_come_back_within_the_tolerance),
        cmocka_unit_test(a_clock_that_was_set_is_believed_at_once),
        cmocka_unit_test(no_deadline_is_none_of_redis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
