/* Clocks, paces and histograms. */
#include <time.h>

#include "load.h"

enum {
    WHILE_US = 100000
};

int64_t time_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t boot_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct pace pace_begin(size_t rate, size_t n_all)
{
    return (struct pace){.begin_us = time_us(), .rate = rate, .n_all = n_all};
}

bool pace_is_over(const struct pace *pace)
{
    return pace->n == pace->n_all;
}

int64_t pace_next_us(const struct pace *pace)
{
    if (pace_is_over(pace))
        return time_us() + WHILE_US;
    return pace->begin_us + (int64_t)((double)pace->n / (double)pace->rate * 1e6);
}

bool pace_take(struct pace *pace)
{
    if (pace_is_over(pace) || time_us() < pace_next_us(pace))
        return false;
    pace->n++;
    return true;
}

static size_t bucket_of(uint64_t us)
{
    if (us < 32)
        return us;
    int shift = 63 - __builtin_clzll(us) - 5;
    return (size_t)(shift + 1) * 32 + (us >> shift) - 32;
}

/* The largest time of the bucket. */
static uint64_t end_of(size_t bucket)
{
    if (bucket < 32)
        return bucket;
    size_t shift = bucket / 32 - 1;
    return ((bucket % 32 + 32 + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t us)
{
    histogram->counts[bucket_of(us)]++;
    histogram->n++;
    if (us > histogram->largest)
        histogram->largest = us;
}

uint64_t histogram_at(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)((double)histogram->n * share);
    uint64_t seen = 0;
    for (size_t i = 0; i < sizeof(histogram->counts) / sizeof(histogram->counts[0]); i++) {
        seen += histogram->counts[i];
        if (seen > wanted)
            return end_of(i) < histogram->largest ? end_of(i) : histogram->largest;
    }
    return histogram->largest;
}
