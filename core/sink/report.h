/*
 * What the log reports about a sink: that it fails, and delivers again; which events are dropped,
 * and why; and at the end, how many. A sink that goes on failing is mentioned now and then only; of
 * many drops the first ten of 10 s are named, and the others counted.
 *
 * Threads: those of one report are one thread's.
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

/* why: for how the attempt failed. n_waiting: events. */
void kv_sink_report_failure(struct kv_sink_report *report, const char *why, uint64_t n_waiting,
                            int64_t now_ms);
void kv_sink_report_success(struct kv_sink_report *report, int64_t now_ms);

/* An event that will never be delivered. */
void kv_sink_report_drop(struct kv_sink_report *report, const struct kv_event *event,
                         const char *why, int64_t now_ms);

/* Threads: any. */
void kv_sink_report_counts(const char *name, const struct kv_sink_counts *counts);

#endif
