/*
 * A wrong wall clock: preloaded into a program, it adds KV_CLOCK_AHEAD_MS (which may be negative)
 * to the wall-clock time that the program reads. Monotonic clocks are unchanged.
 */
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

#include "support/interpose.h"

#define EXPORT __attribute__((visibility("default")))

static int64_t ahead_ms;

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("KV_CLOCK_AHEAD_MS");
    ahead_ms = text == NULL ? 0 : strtoll(text, NULL, 10);
}

/* Returns: the remaining nanoseconds. */
static int64_t shift(time_t *seconds, int64_t ns)
{
    int64_t moved = ns + ahead_ms % 1000 * 1000000;
    *seconds += (time_t)(ahead_ms / 1000 + moved / 1000000000);
    if (moved % 1000000000 < 0) {
        *seconds -= 1;
        return moved % 1000000000 + 1000000000;
    }
    return moved % 1000000000;
}

EXPORT int clock_gettime(clockid_t id, struct timespec *ret)
{
    REAL(clock_gettime);
    int result = real(id, ret);
    if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        ret->tv_nsec = shift(&ret->tv_sec, ret->tv_nsec);
    return result;
}

EXPORT int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    REAL(gettimeofday);
    int result = real(ret, zone);
    if (result == 0)
        ret->tv_usec = shift(&ret->tv_sec, ret->tv_usec * INT64_C(1000)) / 1000;
    return result;
}

EXPORT time_t time(time_t *ret)
{
    struct timeval now;
    if (gettimeofday(&now, NULL) != 0)
        return -1;
    if (ret != NULL)
        *ret = now.tv_sec;
    return now.tv_sec;
}
