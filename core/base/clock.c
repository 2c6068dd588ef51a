/* The machine's clocks behind the interface that tests replace. */
#include "base/clock.h"

#include <time.h>

static int64_t boot_now_ms(const struct kv_clock *clock)
{
    (void)clock;
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const struct kv_clock kv_clock_boot = {.now_ms = boot_now_ms};

int64_t kv_wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
