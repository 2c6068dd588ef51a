/* Logarithmic in steps, each of which is divided evenly, as in Gil Tene's HdrHistogram. */
#include "kvctl/spread.h"

enum {
    STEP_BITS = 6
};

_Static_assert(1 << STEP_BITS == KV_CTL_SPREAD_STEPS, "");

static unsigned index_of(uint64_t value)
{
    if (value < KV_CTL_SPREAD_STEPS)
        return (unsigned)value;
    unsigned shift = (unsigned)(63 - __builtin_clzll(value)) - STEP_BITS;
    return (shift + 1) * KV_CTL_SPREAD_STEPS + (unsigned)(value >> shift) - KV_CTL_SPREAD_STEPS;
}

/* The largest value with that index. */
static uint64_t value_of(unsigned index)
{
    if (index < KV_CTL_SPREAD_STEPS)
        return index;
    unsigned shift = index / KV_CTL_SPREAD_STEPS - 1;
    uint64_t step = index % KV_CTL_SPREAD_STEPS + KV_CTL_SPREAD_STEPS;
    return ((step + 1) << shift) - 1;
}

void kv_ctl_spread_add(struct kv_ctl_spread *spread, uint64_t value)
{
    spread->counts[index_of(value)]++;
    spread->n++;
    if (value > spread->most)
        spread->most = value;
}

uint64_t kv_ctl_spread_at(const struct kv_ctl_spread *spread, double share)
{
    double wanted = share * (double)spread->n;
    uint64_t n = 0;
    for (unsigned i = 0; i < KV_CTL_SPREAD_ROOM; i++) {
        n += spread->counts[i];
        if (spread->counts[i] != 0 && (double)n >= wanted)
            return value_of(i) < spread->most ? value_of(i) : spread->most;
    }
    return 0;
}
