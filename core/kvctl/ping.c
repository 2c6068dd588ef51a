#include "kvctl/ping.h"

#include <time.h>

#include "base/clock.h"
#include "kvctl/arguments.h"
#include "kvctl/ask.h"
#include "kvctl/output.h"
#include "kvctl/say.h"

enum {
    BETWEEN_S = 1,
    NS_PER_US = 1000,
    US_PER_MS = 1000
};

static void put(const struct kv_ctl_call *call, int64_t took_us)
{
    if (call->format == KV_CTL_TEXT)
        kv_ctl_putf("%s serves, %jd.%03jd ms\n", kv_ctl_http_target(call->http)->name,
                    (intmax_t)(took_us / US_PER_MS), (intmax_t)(took_us % US_PER_MS));
    else if (call->format == KV_CTL_RAW)
        kv_ctl_putf("%jd\n", (intmax_t)took_us);
    else
        kv_ctl_putf("{\"microseconds\":%jd}\n", (intmax_t)took_us);
    kv_ctl_output_flush();
}

static int ping(struct kv_ctl_call *call, struct kv_ctl_answer *answer)
{
    struct kv_ctl_request request = {.method = "GET", .path = KV_SLICE("/readyz")};
    int64_t began_ns = kv_clock_boot.now_ns(&kv_clock_boot);
    int code = kv_ctl_ask(call, &request, "ping", 0, answer);
    if (code == KV_CTL_DONE)
        put(call, (kv_clock_boot.now_ns(&kv_clock_boot) - began_ns) / NS_PER_US);
    return code == KV_CTL_REFUSED ? KV_CTL_NO_SERVER : code;
}

int kv_ctl_ping_run(struct kv_ctl_call *call)
{
    struct kv_ctl_answer answer = {0};
    struct kv_error error;
    struct timespec between = {.tv_sec = BETWEEN_S};
    uint64_t n = 1;
    if (kv_ctl_read_number(&call->arguments, KV_CTL_LIMIT, 1, UINT64_MAX - 1, &n, &error) != 0)
        return kv_ctl_fail(KV_CTL_USAGE, "%s", error.text);
    int code = ping(call, &answer);
    while (--n != 0 && code == KV_CTL_DONE) {
        nanosleep(&between, NULL);
        code = ping(call, &answer);
    }
    kv_ctl_answer_fini(&answer);
    return code;
}
