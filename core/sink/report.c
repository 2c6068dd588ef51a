#include "sink/report.h"

#include "base/log.h"

enum {
    FAILURE_AGAIN_MS = 60000,
    DROPS_AGAIN_MS = 10000,
    DROPS_TOLD = 10, /* listed within DROPS_AGAIN_MS */
    LONGEST_KEY = 64 /* bytes shown */
};

void kv_sink_report_failure(struct kv_sink_report *report, const char *why, uint64_t n_waiting,
                            int64_t now_ms)
{
    if (report->is_failing && now_ms - report->failure_told_ms < FAILURE_AGAIN_MS)
        return;
    kv_log(KV_LOG_WARN, report->name, "%s: %s; %llu event%s",
           report->is_failing ? "still not delivered" : "not delivered", why,
           (unsigned long long)n_waiting, n_waiting == 1 ? " waits" : "s wait");
    report->is_failing = true;
    report->failure_told_ms = now_ms;
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

/* When DROPS_AGAIN_MS are over: logs how many drops were not listed in it. */
static void tell_other_drops(struct kv_sink_report *report, int64_t now_ms)
{
    if (now_ms - report->drops_since_ms < DROPS_AGAIN_MS)
        return;
    if (report->n_untold != 0)
        kv_log(KV_LOG_ERROR, report->name, "%llu more event%s dropped",
               (unsigned long long)report->n_untold, report->n_untold == 1 ? " was" : "s were");
    report->drops_since_ms = now_ms;
    report->n_told = report->n_untold = 0;
}

void kv_sink_report_success(struct kv_sink_report *report, int64_t now_ms)
{
    tell_other_drops(report, now_ms);
    if (report->is_failing)
        kv_log(KV_LOG_INFO, report->name, "delivers again");
    report->is_failing = false;
}

/* The length of the beginning of a key, up to a character that would break the text. */
static size_t shown_length(struct kv_slice key)
{
    size_t len = key.len;
    if (len > LONGEST_KEY)
        for (len = LONGEST_KEY; len > 0 && ((unsigned char)key.bytes[len] & 0xc0) == 0x80;)
            len--;
    const char *end = len == 0 ? NULL : memchr(key.bytes, '\0', len);
    return end == NULL ? len : (size_t)(end - key.bytes);
}

void kv_sink_report_drop(struct kv_sink_report *report, const struct kv_event *event,
                         const char *why, int64_t now_ms)
{
    tell_other_drops(report, now_ms);
    if (report->n_told == DROPS_TOLD) {
        report->n_untold++;
        return;
    }
    size_t shown = shown_length(event->key);
    kv_log(KV_LOG_ERROR, report->name, "event %.*s of key \"%.*s%s\" (%zu bytes) is dropped: %s",
           (int)event->id.len, event->id.bytes, (int)shown, event->key.bytes,
           shown < event->key.len ? "\xe2\x80\xa6" : "", event->json.len, why);
    report->n_told++;
}

void kv_sink_report_counts(const char *name, const struct kv_sink_counts *counts)
{
    kv_log(counts->dropped == 0 ? KV_LOG_INFO : KV_LOG_WARN, name,
           "delivered %llu event%s, retried %llu time%s, dropped %llu event%s",
           (unsigned long long)counts->delivered, plural(counts->delivered),
           (unsigned long long)counts->retried, plural(counts->retried),
           (unsigned long long)counts->dropped, plural(counts->dropped));
}
