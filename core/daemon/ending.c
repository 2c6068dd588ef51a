#include "daemon/ending.h"

#include "base/clock.h"
#include "base/log.h"
#include "daemon/signals.h"

enum {
    POLL_MS = 10,
    MOMENT_MS = 200 /* shorter waits are not logged */
};

static int64_t now_ms(void)
{
    return kv_clock_now_ms(&kv_clock_boot);
}

static void tell(const struct kv_awaited *awaited, int64_t at_ms)
{
    struct kv_buffer what = {0};
    char limit[48] = "";
    if (awaited->until_ms != INT64_MAX)
        snprintf(limit, sizeof(limit), " up to %lld s",
                 (long long)((awaited->until_ms - at_ms + 999) / 1000));
    awaited->describe(awaited->context, &what);
    kv_log(KV_LOG_INFO, "server", "waiting%s for %.*s; signal again to stop now", limit,
           (int)what.len, what.bytes);
    kv_buffer_fini(&what);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

bool kv_ending_await(struct kv_ending *ending, const struct kv_awaited *awaited)
{
    int64_t began_ms = now_ms(), until_ms = awaited->until_ms, at_ms;
    bool is_told = false;
    if (ending->is_hurried)
        until_ms = sooner(until_ms, began_ms + awaited->hurried_ms);
    while (!awaited->is_over(awaited->context)) {
        int signal_number = kv_signals_await(POLL_MS);
        at_ms = now_ms();
        if (kv_signal_is_end(signal_number) && !ending->is_hurried) {
            kv_log(KV_LOG_INFO, "server", "received %s, stopping now",
                   kv_signal_name(signal_number));
            ending->is_hurried = true;
            until_ms = sooner(until_ms, at_ms + awaited->hurried_ms);
        }
        if (at_ms >= until_ms)
            return awaited->is_over(awaited->context);
        if (is_told || ending->is_hurried || at_ms - began_ms < MOMENT_MS)
            continue;
        tell(awaited, began_ms);
        is_told = true;
    }
    return true;
}

void kv_ending_append_count(struct kv_buffer *out, uint64_t n, const char *what)
{
    if (n != 0)
        kv_buffer_printf(out, "%s%llu %s%s", out->len == 0 ? "" : ", ", (unsigned long long)n, what,
                         n == 1 ? "" : "s");
}
