/*
 * Redis's clock decides when keys expire, for all KvServers. Deadlines of the host are converted.
 * In a build with KV_REDIS_TEST_CLOCK the scripts get the host's time instead, because the clock of
 * a test may stand still.
 */
#ifndef KV_STORE_REDIS_CLOCK_H
#define KV_STORE_REDIS_CLOCK_H

#include "shared.h"

enum {
    CLOCK_WORD = 24
};

/* Whether it can be Redis's time, in microseconds since 1970. */
static inline bool clock_is_time(int64_t us)
{
    return us > 0 && us <= (int64_t)KV_REVISION_MAX;
}

/* The host's time. */
int64_t clock_now_ms(const struct kv_store *store);

/* Takes a reading of Redis's clock that was requested at `asked_ms` of the host's clock and has
 * just arrived. */
void clock_take(struct kv_store *store, int64_t redis_us, int64_t asked_ms);

/* What Redis's clock is ahead of the host's, at least and at most, in whole milliseconds. */
int64_t clock_least_ms(const struct clock *clock);
int64_t clock_most_ms(const struct clock *clock);

/* The first millisecond of Redis's clock at which the host's surely has reached the deadline. */
int64_t clock_to_redis(const struct kv_store *store, int64_t deadline_ms);

/* Back: the first millisecond of the host's clock at which Redis's may have reached the deadline,
 * and the first one at which it surely has. */
int64_t clock_to_host(const struct kv_store *store, int64_t deadline_ms);
int64_t clock_latest_to_host(const struct kv_store *store, int64_t deadline_ms);

/* How far a deadline that was converted to the host's clock may be off after its conversion back,
 * as more may have been learnt of Redis's clock meanwhile. */
int64_t clock_inexact_ms(void);

/* The argument that gives scripts the time. text: where it may be written. */
struct kv_slice clock_word(const struct kv_store *store, char text[CLOCK_WORD]);

#endif
