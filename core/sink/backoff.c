#include "sink/backoff.h"

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

int64_t kv_backoff_fail(struct kv_backoff *backoff)
{
    int64_t whole_ms = backoff->next_ms == 0 ? backoff->first_ms : backoff->next_ms;
    if (whole_ms > backoff->longest_ms)
        whole_ms = backoff->longest_ms;
    backoff->next_ms = whole_ms > backoff->longest_ms / 2 ? backoff->longest_ms : 2 * whole_ms;
    int64_t half_ms = whole_ms / 2;
    return whole_ms - (int64_t)(draw(&backoff->random) % (uint64_t)(half_ms + 1));
}

void kv_backoff_reset(struct kv_backoff *backoff)
{
    backoff->next_ms = 0;
}
