#include "script/metrics.h"

#include <stdio.h>

#include "script/script.h"

/* The counts of one hook of a script, summed over the loops. */
struct hook_counts {
    uint64_t refusals, faults;
    struct kv_histogram_sum durations;
};

typedef void (*collect_fn)(const struct hook_counts *counts, struct kv_labels labels,
                           struct kv_metrics_text *text);

static struct hook_counts sum_up(const struct kv_script *script, enum kv_hook hook)
{
    struct hook_counts sum = {0};
    for (uint32_t i = 0; i < script->scripts->n_loops; i++) {
        const struct kv_script_counts *counts = &script->loops[i].counts;
        sum.refusals += kv_counter_read(&counts->refusals[hook]);
        sum.faults += kv_counter_read(&counts->faults[hook]);
        kv_histogram_sum_add(&sum.durations, &counts->durations[hook]);
    }
    return sum;
}

static void collect_refusals(const struct hook_counts *counts, struct kv_labels labels,
                             struct kv_metrics_text *text)
{
    kv_metrics_sample(text, labels, counts->refusals);
}

static void collect_faults(const struct hook_counts *counts, struct kv_labels labels,
                           struct kv_metrics_text *text)
{
    kv_metrics_sample(text, labels, counts->faults);
}

static void collect_durations(const struct hook_counts *counts, struct kv_labels labels,
                              struct kv_metrics_text *text)
{
    kv_metrics_histogram(text, labels, &counts->durations);
}

static uint64_t n_calls(const struct hook_counts *counts)
{
    uint64_t n = 0;
    for (size_t i = 0; i < KV_HISTOGRAM_BUCKETS; i++)
        n += counts->durations.buckets[i];
    return n;
}

/* index: in the configuration, as a script may be configured twice. */
static void collect_hook(const struct kv_script *script, size_t index, enum kv_hook hook,
                         collect_fn collect, struct kv_metrics_text *text)
{
    char number[24];
    struct hook_counts counts = sum_up(script, hook);
    if (n_calls(&counts) == 0)
        return;
    snprintf(number, sizeof(number), "%zu", index);
    collect(
        &counts,
        (struct kv_labels){
            {{"script", script->config->name}, {"index", number}, {"hook", kv_hook_names[hook]}}},
        text);
}

/* Hooks that were never called are left out: most scripts have one or two. */
static void collect_each(const struct kv_scripts *scripts, const struct kv_metric *metric,
                         collect_fn collect, struct kv_metrics_text *text)
{
    kv_metrics_begin(text, metric);
    for (size_t i = 0; i < scripts->n; i++)
        for (enum kv_hook hook = 0; hook < KV_N_HOOKS; hook++)
            collect_hook(&scripts->all[i], i, hook, collect, text);
}

void kv_scripts_collect(const struct kv_scripts *scripts, struct kv_metrics_text *text)
{
    static const struct kv_metric durations = {
        "kvserver_hook_duration_seconds", KV_METRIC_HISTOGRAM, "seconds",
        "Time from a hook's call to its end, with what it waited for"};
    static const struct kv_metric refusals = {"kvserver_hook_refusals", KV_METRIC_COUNTER, NULL,
                                              "Writes that a hook refused"};
    static const struct kv_metric faults = {"kvserver_hook_faults", KV_METRIC_COUNTER, NULL,
                                            "Calls of hooks that failed"};
    collect_each(scripts, &durations, collect_durations, text);
    collect_each(scripts, &refusals, collect_refusals, text);
    collect_each(scripts, &faults, collect_faults, text);
}
