/*
 * Clocks. Deadlines are times of CLOCK_BOOTTIME, which never steps and continues while the machine
 * sleeps. Code that depends on time takes a struct kv_clock, which tests can replace.
 *
 * Rounding. A clock is finer than the whole milliseconds of deadlines, so each use rounds to the
 * side on which no key expires early and no answer promises too much:
 *  - whether a deadline has passed is determined with the time rounded down (kv_clock_now_ms);
 *  - a TTL is added to the time rounded up (kv_clock_next_ms), so a key lives for its whole TTL and
 *    for less than two milliseconds more;
 *  - the remaining time is measured from the time rounded up (kv_clock_left_ms).
 */
#ifndef KV_BASE_CLOCK_H
#define KV_BASE_CLOCK_H

#include <stdint.h>

enum {
    KV_NS_PER_MS = 1000000
};

/* Threads: now_ns may be called from any thread. The time is never negative. */
struct kv_clock {
    int64_t (*now_ns)(const struct kv_clock *clock);
};

/* The current millisecond. */
static inline int64_t kv_clock_now_ms(const struct kv_clock *clock)
{
    return clock->now_ns(clock) / KV_NS_PER_MS;
}

/* The millisecond that begins now or next: a TTL is added to this. */
static inline int64_t kv_clock_next_ms(const struct kv_clock *clock)
{
    return (clock->now_ns(clock) + KV_NS_PER_MS - 1) / KV_NS_PER_MS;
}

/* The whole milliseconds left until the deadline; 0 or less for none. */
static inline int64_t kv_clock_left_ms(const struct kv_clock *clock, int64_t deadline_ms)
{
    return deadline_ms - kv_clock_next_ms(clock);
}

/* The clock of this machine. */
extern const struct kv_clock kv_clock_boot;

/* Aligns the milliseconds of kv_clock_boot with those of the wall clock: the two then differ by a
 * whole number of milliseconds (see host.h). Call before other threads exist. */
void kv_clock_init(void);

/* The wall clock, microseconds since 1970. */
int64_t kv_wall_us(void);

#endif
