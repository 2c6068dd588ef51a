#include "kvctl/meter.h"

#include <unistd.h>

#include "base/clock.h"

enum {
    STEP_MS = 250,
    MS_PER_S = 1000
};

#define MIB (1024.0 * 1024.0)

void kv_ctl_meter_start(struct kv_ctl_meter *meter, const struct kv_ctl_call *call,
                        const char *verb)
{
    int64_t now_ms = kv_clock_now_ms(&kv_clock_boot);
    *meter =
        (struct kv_ctl_meter){.verb = verb,
                              .is_shown = !kv_ctl_has(call, KV_CTL_QUIET) && isatty(STDERR_FILENO),
                              .began_ms = now_ms,
                              .next_ms = now_ms + STEP_MS};
}

static void show(const struct kv_ctl_meter *meter, int64_t now_ms, const char *end)
{
    double seconds = (double)(now_ms - meter->began_ms + 1) / MS_PER_S;
    fprintf(stderr, "\r\033[K%s %ju keys, %.1f MiB, %.0f keys/s%s", meter->verb,
            (uintmax_t)meter->n, (double)meter->n_bytes / MIB, (double)meter->n / seconds, end);
}

void kv_ctl_meter_add(struct kv_ctl_meter *meter, uint64_t n_keys, uint64_t n_bytes)
{
    meter->n += n_keys;
    meter->n_bytes += n_bytes;
    int64_t now_ms = meter->is_shown ? kv_clock_now_ms(&kv_clock_boot) : 0;
    if (!meter->is_shown || now_ms < meter->next_ms)
        return;
    meter->next_ms = now_ms + STEP_MS;
    show(meter, now_ms, "");
}

void kv_ctl_meter_erase(const struct kv_ctl_meter *meter)
{
    if (meter->is_shown)
        fputs("\r\033[K", stderr);
}

void kv_ctl_meter_finish(const struct kv_ctl_meter *meter)
{
    if (meter->is_shown)
        show(meter, kv_clock_now_ms(&kv_clock_boot), "\n");
}
