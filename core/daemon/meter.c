#include "daemon/meter.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    STEP_MS = 250
};

static const char erase_line[] = "\r\033[K";

void kv_meter_start(struct kv_meter *meter, const char *verb, bool is_shown)
{
    int64_t now_ms = kv_clock_now_ms(&kv_clock_boot);
    *meter = (struct kv_meter){.verb = verb,
                               .is_shown = is_shown && isatty(STDERR_FILENO),
                               .began_ms = now_ms,
                               .next_ms = now_ms + STEP_MS};
}

void kv_meter_set(struct kv_meter *meter, uint64_t n)
{
    meter->n = n;
    if (!meter->is_shown)
        return;
    int64_t now_ms = kv_clock_now_ms(&kv_clock_boot);
    if (now_ms < meter->next_ms)
        return;
    meter->next_ms = now_ms + STEP_MS;
    uint64_t rate = n * 1000 / (uint64_t)(now_ms - meter->began_ms);
    fprintf(stderr, "%s%s %llu keys, %llu keys/s", erase_line, meter->verb, (unsigned long long)n,
            (unsigned long long)rate);
}

void kv_meter_finish(struct kv_meter *meter)
{
    int64_t took_ms = kv_clock_now_ms(&kv_clock_boot) - meter->began_ms;
    fprintf(stderr, "%skvserver: %s %llu key%s in %.1f s\n", meter->is_shown ? erase_line : "",
            meter->verb, (unsigned long long)meter->n, meter->n == 1 ? "" : "s",
            (double)took_ms / 1000);
}

void kv_meter_erase(const struct kv_meter *meter)
{
    if (meter->is_shown)
        fputs(erase_line, stderr);
}
