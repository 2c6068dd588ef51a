#include "report.h"

void report_init(struct report *report)
{
    pthread_mutex_init(&report->lock, NULL);
}

void report_fini(struct report *report)
{
    pthread_mutex_destroy(&report->lock);
}

void report_connection(struct kv_store *store, bool is_connected, const char *fault)
{
    struct report *report = &store->report;
    pthread_mutex_lock(&report->lock);
    report->is_connected = is_connected;
    snprintf(report->node, sizeof(report->node), "%s", store->settings.address.text);
    snprintf(report->fault, sizeof(report->fault), "%s", fault);
    pthread_mutex_unlock(&report->lock);
}

void report_whole(struct kv_store *store)
{
    store->report.whole_ms = link_clock_ms();
}

void report_clock(struct kv_store *store, int64_t least_ahead_ms, int64_t most_ahead_ms)
{
    store->report.least_ahead_ms = least_ahead_ms;
    store->report.most_ahead_ms = most_ahead_ms;
    store->report.knows_clock = true;
}

void report_commands(struct kv_store *store)
{
    struct report *report = &store->report;
    report->n_waiting = store->lane.waiting.n + store->bulk.waiting.n + store->refused.n +
                        store->catch_ups.waiting.n;
    report->n_sent = store->lane.sent.n + store->bulk.sent.n;
    report->n_held = store->held.n;
}

void report_read(struct kv_store *store, uint64_t n_held, struct reported *ret)
{
    struct report *report = &store->report;
    int64_t whole_ms = report->whole_ms;
    ret->state = (struct kv_part_state){
        .size = sizeof(ret->state),
        .part = store->part,
        .revision = store->newest,
        .lag_ms = whole_ms == 0 ? -1 : link_clock_ms() - whole_ms,
        .n_waiting = report->n_waiting,
        .n_sent = report->n_sent,
        .n_held = report->n_held + n_held,
        .n_reconnects = store->n_reconnects,
        .n_resyncs = store->n_resets,
    };
    pthread_mutex_lock(&report->lock);
    ret->state.is_connected = report->is_connected;
    memcpy(ret->node, report->node, sizeof(ret->node));
    memcpy(ret->fault, report->fault, sizeof(ret->fault));
    pthread_mutex_unlock(&report->lock);
    ret->state.node = kv_slice_of(ret->node);
    ret->state.fault = kv_slice_of(ret->fault);
}
