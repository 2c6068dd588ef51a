#include "clock.h"

#include "event.h"
#include "report.h"

enum {
    LASTS_MS = 10000, /* a reading, before a worse one takes its place */
    INEXACT_MS = 2,   /* a correction of the offset */
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

/* An offset that the reading does not contradict stays, so that deadlines do not jitter by the time
 * that readings take. */
static int64_t nearest(int64_t before_ms, int64_t offset_ms, int64_t slack_ms)
{
    if (before_ms < offset_ms - slack_ms)
        return offset_ms - slack_ms;
    return before_ms > offset_ms + slack_ms ? offset_ms + slack_ms : before_ms;
}

void clock_take(struct kv_store *store, int64_t redis_us, int64_t asked_ms)
{
    struct clock *clock = &store->clock;
    int64_t now_ms = clock_now_ms(store);
    int64_t slack_ms = (now_ms - asked_ms) / 2 + 1;
    if (clock->taken_ms != 0 && slack_ms > clock->slack_ms && now_ms - clock->taken_ms < LASTS_MS)
        return;
    int64_t offset_ms = redis_us / 1000 - (asked_ms + (now_ms - asked_ms) / 2);
    int64_t kept_ms =
        clock->slack_ms == 0 ? offset_ms : nearest(clock->offset_ms, offset_ms, slack_ms);
    *clock = (struct clock){
        .offset_ms = kept_ms,
        .slack_ms = slack_ms + (kept_ms > offset_ms ? kept_ms - offset_ms : offset_ms - kept_ms),
        .taken_ms = now_ms,
    };
    report_clock(store);
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

int64_t clock_to_redis(const struct kv_store *store, int64_t deadline_ms)
{
    if (deadline_ms == KV_NEVER)
        return 0;
    int64_t at_redis;
    if (__builtin_add_overflow(deadline_ms, store->clock.offset_ms, &at_redis) ||
        at_redis > EVENT_LAST_DEADLINE)
        return EVENT_LAST_DEADLINE;
    return at_redis > 0 ? at_redis : 1;
}

int64_t clock_to_host(const struct kv_store *store, int64_t deadline_ms)
{
    int64_t at_host;
    if (deadline_ms == 0 || __builtin_sub_overflow(deadline_ms, store->clock.offset_ms, &at_host))
        return KV_NEVER;
    return at_host;
}
