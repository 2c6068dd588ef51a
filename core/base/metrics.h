/*
 * Metrics: figures about the running server, as text for a monitoring system. Every part of the
 * server counts for itself (kvserver/metrics.h); collectors read these counts on request, and write
 * them. Formats: Prometheus text 0.0.4, and OpenMetrics 1.0.
 *
 * Threads: collectors are added before the first request; kv_metrics_write() may then be called
 * from any thread, and calls them there.
 */
#ifndef KV_BASE_METRICS_H
#define KV_BASE_METRICS_H

#include <kvserver/metrics.h>

#include "base/buffer.h"

struct kv_metrics;

enum kv_metrics_format {
    KV_METRICS_PROMETHEUS,
    KV_METRICS_OPENMETRICS
};

struct kv_label {
    const char *name; /* NULL: the end */
    const char *value;
};

/* Most labels of a sample. */
enum {
    KV_METRIC_LABELS = 3
};

struct kv_labels {
    struct kv_label labels[KV_METRIC_LABELS];
};

#define KV_NO_LABELS ((struct kv_labels){{{NULL, NULL}}})

/* The text being written. */
struct kv_metrics_text {
    enum kv_metrics_format format;
    struct kv_buffer *out;
    const struct kv_metric *metric; /* whose samples are being written */
};

/* Begins a metric; its samples follow. Each metric once in the whole text. metric: lent until the
 * next one. */
void kv_metrics_begin(struct kv_metrics_text *text, const struct kv_metric *metric);

/* Writes a sample of a counter or a gauge. Label values are UTF-8, with any content. */
void kv_metrics_sample(struct kv_metrics_text *text, struct kv_labels labels, uint64_t value);
/* The same for a duration in nanoseconds, written in seconds. */
void kv_metrics_sample_ns(struct kv_metrics_text *text, struct kv_labels labels, uint64_t ns);

/* Writes a metric with one sample and no labels. */
void kv_metrics_number(struct kv_metrics_text *text, const struct kv_metric *metric,
                       uint64_t value);

/* The sum of several histograms, and the samples of that sum. */
struct kv_histogram_sum {
    uint64_t buckets[KV_HISTOGRAM_BUCKETS];
    uint64_t sum_ns;
};
void kv_histogram_sum_add(struct kv_histogram_sum *sum, const struct kv_histogram *histogram);
void kv_metrics_histogram(struct kv_metrics_text *text, struct kv_labels labels,
                          const struct kv_histogram_sum *sum);

/* Owns: the caller, by kv_metrics_destroy(), which accepts NULL. */
struct kv_metrics *kv_metrics_create(void);
void kv_metrics_destroy(struct kv_metrics *metrics);

/* Writes the samples of one part of the server. Blocks on nothing. */
typedef void (*kv_collect_fn)(void *context, struct kv_metrics_text *text);

/* context: lent until kv_metrics_destroy(). */
void kv_metrics_add(struct kv_metrics *metrics, kv_collect_fn collect, void *context);

/* Appends all metrics. */
void kv_metrics_write(const struct kv_metrics *metrics, enum kv_metrics_format format,
                      struct kv_buffer *out);

#endif
