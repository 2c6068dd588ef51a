/*
 * Log messages about a sink: that it fails, and delivers again; which events are dropped, and why;
 * and at the end, how many. While a sink keeps failing, messages are rare; of drops, the first ten
 * in 10 s are listed, and the others counted.
 *
 * Threads: functions that take a report belong to one thread.
 */
#ifndef KV_SINK_REPORT_H
#define KV_SINK_REPORT_H

#include "sink/config.h"

struct kv_sink_report {
    const char *name; /* of the sink */
    bool is_failing;
    int64_t failure_told_ms;
    int64_t drops_since_ms;
    uint64_t n_told, n_untold; /* drops since then */
};

/* why: the reason of the failure. n_waiting: events. */
void kv_sink_report_failure(struct kv_sink_report *report, const char *why, uint64_t n_waiting,
                            int64_t now_ms);
void kv_sink_report_success(struct kv_sink_report *report, int64_t now_ms);

/* An event will never be delivered. */
void kv_sink_report_drop(struct kv_sink_report *report, const struct kv_event *event,
                         const char *why, int64_t now_ms);

/* Threads: any. */
void kv_sink_report_counts(const char *name, const struct kv_sink_counts *counts);

#endif
