#include "sink/sinks.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "sink/runner.h"

struct kv_sinks {
    struct kv_observer observer;
    size_t n;
    struct kv_sink_runner *runners;
};

static void observe(struct kv_observer *observer, struct kv_keyspace_loop *loop,
                    const struct kv_change *change, struct kv_shown *shown)
{
    struct kv_sinks *sinks = KV_CONTAINER(observer, struct kv_sinks, observer);
    (void)loop;
    for (size_t i = 0; i < sinks->n; i++)
        kv_sink_runner_take(&sinks->runners[i], change, shown);
}

struct kv_sinks *kv_sinks_open(const struct kv_sink_config *configs, size_t n, size_t *ret_failed,
                               struct kv_error *reterr)
{
    struct kv_sinks *sinks = kv_calloc(1, sizeof(*sinks));
    sinks->observer.on_change = observe;
    sinks->runners = kv_calloc(n, sizeof(*sinks->runners));
    for (; sinks->n < n; sinks->n++)
        if (kv_sink_runner_open(&sinks->runners[sinks->n], &configs[sinks->n], reterr) != 0) {
            *ret_failed = sinks->n;
            kv_sinks_close(sinks);
            return NULL;
        }
    return sinks;
}

struct kv_observer *kv_sinks_observer(struct kv_sinks *sinks)
{
    return &sinks->observer;
}

int kv_sinks_start(struct kv_sinks *sinks, struct kv_keyspace *keyspace, struct kv_error *reterr)
{
    for (size_t i = 0; i < sinks->n; i++)
        if (kv_sink_runner_start(&sinks->runners[i], keyspace, reterr) != 0)
            return -1;
    return 0;
}

void kv_sinks_reopen(struct kv_sinks *sinks)
{
    for (size_t i = 0; i < sinks->n; i++)
        kv_sink_runner_reopen(&sinks->runners[i]);
}

void kv_sinks_stop_blocking(struct kv_sinks *sinks)
{
    for (size_t i = 0; i < sinks->n; i++)
        kv_sink_runner_stop_blocking(&sinks->runners[i]);
}

static void report_counts(struct kv_sink_runner *runner)
{
    struct kv_sink_counts counts = kv_sink_runner_count(runner);
    kv_sink_report_counts(runner->config->name, &counts);
}

void kv_sinks_ask_to_end(struct kv_sinks *sinks, int64_t until_ms)
{
    for (size_t i = 0; i < sinks->n; i++)
        kv_sink_runner_ask_to_end(&sinks->runners[i], until_ms);
}

void kv_sinks_cut_short(struct kv_sinks *sinks)
{
    for (size_t i = 0; i < sinks->n; i++)
        kv_sink_runner_cut_short(&sinks->runners[i]);
}

bool kv_sinks_have_ended(const struct kv_sinks *sinks)
{
    for (size_t i = 0; i < sinks->n; i++)
        if (!kv_sink_runner_has_ended(&sinks->runners[i]))
            return false;
    return true;
}

void kv_sinks_describe(const struct kv_sinks *sinks, struct kv_buffer *out)
{
    for (size_t i = 0; i < sinks->n; i++) {
        struct kv_sink_runner *runner = &sinks->runners[i];
        uint64_t n = kv_sink_runner_count(runner).queued;
        if (!kv_sink_runner_has_ended(runner))
            kv_buffer_printf(out, "%s%s (%llu event%s)", out->len == 0 ? "" : ", ",
                             runner->config->name, (unsigned long long)n, n == 1 ? "" : "s");
    }
}

bool kv_sinks_end(struct kv_sinks *sinks)
{
    bool all_ended = true;
    for (size_t i = 0; i < sinks->n; i++) {
        struct kv_sink_runner *runner = &sinks->runners[i];
        if (kv_sink_runner_join(runner)) {
            kv_sink_runner_drop_all(runner);
        } else {
            kv_log(KV_LOG_ERROR, runner->config->name, "does not return: it is left behind");
            all_ended = false;
        }
        report_counts(runner);
    }
    return all_ended;
}

void kv_sinks_close(struct kv_sinks *sinks)
{
    if (sinks == NULL)
        return;
    while (sinks->n != 0)
        kv_sink_runner_close(&sinks->runners[--sinks->n]);
    free(sinks->runners);
    free(sinks);
}

/* ---- metrics ---- */

/* A metric of all sinks, with the offset of its number in struct kv_sink_counts. */
struct sink_metric {
    struct kv_metric metric;
    size_t offset;
};

static const struct sink_metric metrics[] = {
    {{"kvserver_sink_queue_events", KV_METRIC_GAUGE, NULL, "Events that wait for a sink"},
     offsetof(struct kv_sink_counts, queued)},
    {{"kvserver_sink_queue_bytes", KV_METRIC_GAUGE, "bytes", "Their keys and values"},
     offsetof(struct kv_sink_counts, queued_bytes)},
    {{"kvserver_sink_delivered_events", KV_METRIC_COUNTER, NULL, "Events that a sink delivered"},
     offsetof(struct kv_sink_counts, delivered)},
    {{"kvserver_sink_retries", KV_METRIC_COUNTER, NULL, "Attempts that had to be repeated"},
     offsetof(struct kv_sink_counts, retried)},
    {{"kvserver_sink_dropped_events", KV_METRIC_COUNTER, NULL,
      "Events that a sink will never deliver"},
     offsetof(struct kv_sink_counts, dropped)},
};

/* The counts of each sink are of one moment. Owns: the caller, by free(). */
static struct kv_sink_counts *count_all(const struct kv_sinks *sinks)
{
    struct kv_sink_counts *counts = kv_calloc(sinks->n, sizeof(*counts));
    for (size_t i = 0; i < sinks->n; i++)
        counts[i] = kv_sink_runner_count(&sinks->runners[i]);
    return counts;
}

/* index: in the configuration, as several sinks may use the same module. */
static void collect_one(const struct kv_sink_runner *runner, size_t index,
                        const struct kv_sink_counts *counts, const struct sink_metric *metric,
                        struct kv_metrics_text *text)
{
    char number[24];
    uint64_t value;
    memcpy(&value, (const char *)counts + metric->offset, sizeof(value));
    snprintf(number, sizeof(number), "%zu", index);
    kv_metrics_sample(text, (struct kv_labels){{{"sink", runner->config->name}, {"index", number}}},
                      value);
}

uint64_t kv_sinks_waiting(const struct kv_sinks *sinks)
{
    uint64_t n = 0;
    for (size_t i = 0; i < sinks->n; i++)
        n += kv_sink_runner_count(&sinks->runners[i]).queued;
    return n;
}

void kv_sinks_collect(const struct kv_sinks *sinks, struct kv_metrics_text *text)
{
    struct kv_sink_counts *counts = count_all(sinks);
    for (size_t m = 0; m < sizeof(metrics) / sizeof(metrics[0]); m++) {
        kv_metrics_begin(text, &metrics[m].metric);
        for (size_t i = 0; i < sinks->n; i++)
            collect_one(&sinks->runners[i], i, &counts[i], &metrics[m], text);
    }
    free(counts);
}
