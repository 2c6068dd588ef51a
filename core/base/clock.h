/*
 * Clocks. Deadlines count on CLOCK_BOOTTIME, which never steps and goes on while the machine
 * sleeps. Code that depends on time takes a struct kv_clock, so that a test can own it.
 */
#ifndef KV_BASE_CLOCK_H
#define KV_BASE_CLOCK_H

#include <stdint.h>

/* Threads: now_ms may be called from any thread. */
struct kv_clock {
    int64_t (*now_ms)(const struct kv_clock *clock);
};

static inline int64_t kv_clock_now_ms(const struct kv_clock *clock)
{
    return clock->now_ms(clock);
}

/* The clock of this machine. */
extern const struct kv_clock kv_clock_boot;

/* The wall clock, microseconds since 1970. */
int64_t kv_wall_us(void);

#endif
