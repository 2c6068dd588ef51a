#include "clock.h"

#include "event.h"
#include "report.h"

enum {
    US_PER_MS = 1000,
    DRIFT_PPM = 1000,  /* of two clocks, each of which Linux may make faster or slower by 500 */
    MOST_AGE_MS = 500, /* of a reading, while Redis answers */
    AGEING_US = MOST_AGE_MS * DRIFT_PPM / US_PER_MS,
    INEXACT_MS = 100, /* by far more than the range changes, but on a network that is as slow */
};

int64_t clock_now_ms(const struct kv_store *store)
{
    return store->host->base.now_ms(&store->host->base);
}

#ifdef KV_REDIS_TEST_CLOCK

void clock_take(struct kv_store *store, int64_t redis_us, int64_t asked_ms)
{
    (void)store;
    (void)redis_us;
    (void)asked_ms;
}

int64_t clock_inexact_ms(void)
{
    return 0;
}

struct kv_slice clock_word(const struct kv_store *store, char text[CLOCK_WORD])
{
    int len = snprintf(text, CLOCK_WORD, "%lld", (long long)clock_now_ms(store));
    return (struct kv_slice){text, (size_t)len};
}

#else

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Readings that agree narrow down the difference. One that contradicts those before shows that a
 * clock was set. */
void clock_take(struct kv_store *store, int64_t redis_us, int64_t asked_ms)
{
    struct clock *clock = &store->clock;
    int64_t now_ms = clock_now_ms(store);
    struct clock reading = {
        .least_us = redis_us - (now_ms + 1) * US_PER_MS - AGEING_US,
        .most_us = redis_us + 1 - asked_ms * US_PER_MS + AGEING_US,
        .taken_ms = now_ms,
    };
    int64_t drift_us = (now_ms - clock->taken_ms) * DRIFT_PPM / US_PER_MS;
    int64_t least_us = larger(reading.least_us, clock->least_us - drift_us);
    int64_t most_us = smaller(reading.most_us, clock->most_us + drift_us);
    if (clock->taken_ms != 0 && least_us <= most_us) {
        reading.least_us = least_us;
        reading.most_us = most_us;
    }
    *clock = reading;
    report_clock(store, clock_least_ms(clock), clock_most_ms(clock));
}

int64_t clock_inexact_ms(void)
{
    return INEXACT_MS;
}

struct kv_slice clock_word(const struct kv_store *store, char text[CLOCK_WORD])
{
    (void)store;
    text[0] = '\0';
    return (struct kv_slice){text, 0};
}

#endif

static int64_t rounded_down(int64_t us)
{
    return us / US_PER_MS - (us % US_PER_MS < 0 ? 1 : 0);
}

int64_t clock_least_ms(const struct clock *clock)
{
    return rounded_down(clock->least_us);
}

int64_t clock_most_ms(const struct clock *clock)
{
    return -rounded_down(-clock->most_us);
}

/* A key may expire a little late, but never early. */
int64_t clock_to_redis(const struct kv_store *store, int64_t deadline_ms)
{
    if (deadline_ms == KV_NEVER)
        return 0;
    int64_t at_redis;
    if (__builtin_add_overflow(deadline_ms, clock_most_ms(&store->clock), &at_redis) ||
        at_redis > EVENT_LAST_DEADLINE)
        return EVENT_LAST_DEADLINE;
    return at_redis > 0 ? at_redis : 1;
}

static int64_t to_host(int64_t deadline_ms, int64_t ahead_ms)
{
    int64_t at_host;
    if (deadline_ms == 0 || __builtin_sub_overflow(deadline_ms, ahead_ms, &at_host))
        return KV_NEVER;
    return at_host;
}

int64_t clock_to_host(const struct kv_store *store, int64_t deadline_ms)
{
    return to_host(deadline_ms, clock_most_ms(&store->clock));
}

int64_t clock_latest_to_host(const struct kv_store *store, int64_t deadline_ms)
{
    return to_host(deadline_ms, clock_least_ms(&store->clock));
}
