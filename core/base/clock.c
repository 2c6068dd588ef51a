/* The machine's clocks behind the interface that tests replace. */
#include "base/clock.h"

#include <time.h>

enum {
    TRIES = 16 /* attempts, to get one in which the thread is not interrupted */
};

static int64_t ahead_ns; /* kv_clock_boot is ahead of CLOCK_BOOTTIME: less than a millisecond */

static int64_t read_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t boot_now_ns(const struct kv_clock *clock)
{
    (void)clock;
    return read_ns(CLOCK_BOOTTIME) + ahead_ns;
}

const struct kv_clock kv_clock_boot = {.now_ns = boot_now_ns};

void kv_clock_init(void)
{
    int64_t shortest_ns = INT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        int64_t before_ns = read_ns(CLOCK_BOOTTIME);
        int64_t wall_ns = read_ns(CLOCK_REALTIME);
        int64_t took_ns = read_ns(CLOCK_BOOTTIME) - before_ns;
        if (took_ns >= shortest_ns)
            continue;
        shortest_ns = took_ns;
        int64_t apart_ns = (wall_ns - before_ns - took_ns / 2) % KV_NS_PER_MS;
        ahead_ns = apart_ns < 0 ? apart_ns + KV_NS_PER_MS : apart_ns;
    }
}

int64_t kv_wall_us(void)
{
    return read_ns(CLOCK_REALTIME) / 1000;
}
