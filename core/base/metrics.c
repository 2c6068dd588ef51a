#include "base/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    MOST_COLLECTORS = 16,
    LONGEST_NUMBER = 32,
    NS_PER_SECOND = 1000000000
};

struct collector {
    kv_collect_fn collect;
    void *context;
};

struct kv_metrics {
    struct collector collectors[MOST_COLLECTORS];
    size_t n;
};

struct kv_metrics *kv_metrics_create(void)
{
    return kv_calloc(1, sizeof(struct kv_metrics));
}

void kv_metrics_destroy(struct kv_metrics *metrics)
{
    free(metrics);
}

void kv_metrics_add(struct kv_metrics *metrics, kv_collect_fn collect, void *context)
{
    if (metrics->n == MOST_COLLECTORS)
        abort();
    metrics->collectors[metrics->n++] = (struct collector){collect, context};
}

void kv_metrics_write(const struct kv_metrics *metrics, enum kv_metrics_format format,
                      struct kv_buffer *out)
{
    struct kv_metrics_text text = {.format = format, .out = out};
    for (size_t i = 0; i < metrics->n; i++)
        metrics->collectors[i].collect(metrics->collectors[i].context, &text);
    if (format == KV_METRICS_OPENMETRICS)
        kv_buffer_append(out, KV_SLICE("# EOF\n"));
}

/* ---- the text ---- */

static void append(struct kv_metrics_text *text, const char *string)
{
    kv_buffer_append(text->out, kv_slice_of(string));
}

static void append_escaped(struct kv_metrics_text *text, const char *value)
{
    for (; *value != '\0'; value++)
        switch (*value) {
        case '\\':
            append(text, "\\\\");
            break;
        case '"':
            append(text, "\\\"");
            break;
        case '\n':
            append(text, "\\n");
            break;
        default:
            kv_buffer_append_char(text->out, *value);
        }
}

static void append_number(struct kv_metrics_text *text, uint64_t value)
{
    char number[LONGEST_NUMBER];
    snprintf(number, sizeof(number), "%llu", (unsigned long long)value);
    append(text, number);
}

/* Appends seconds, exactly, without trailing zeros. */
static void append_seconds(struct kv_metrics_text *text, uint64_t ns)
{
    char number[LONGEST_NUMBER];
    int len = snprintf(number, sizeof(number), "%llu.%09u",
                       (unsigned long long)(ns / NS_PER_SECOND), (unsigned)(ns % NS_PER_SECOND));
    while (number[len - 1] == '0' && number[len - 2] != '.')
        len--;
    kv_buffer_append(text->out, (struct kv_slice){number, (size_t)len});
}

static bool is_counter(const struct kv_metrics_text *text)
{
    return text->metric->type == KV_METRIC_COUNTER;
}

static const char *type_name(enum kv_metric_type type)
{
    static const char *const names[] = {[KV_METRIC_COUNTER] = "counter",
                                        [KV_METRIC_GAUGE] = "gauge",
                                        [KV_METRIC_HISTOGRAM] = "histogram"};
    return names[type];
}

/* Appends a comment line about the metric. In these, OpenMetrics names a counter without
 * `_total`. */
static void append_comment(struct kv_metrics_text *text, const char *keyword, const char *value)
{
    append(text, "# ");
    append(text, keyword);
    append(text, " ");
    append(text, text->metric->name);
    if (is_counter(text) && text->format == KV_METRICS_PROMETHEUS)
        append(text, "_total");
    append(text, " ");
    append(text, value);
    append(text, "\n");
}

void kv_metrics_begin(struct kv_metrics_text *text, const struct kv_metric *metric)
{
    text->metric = metric;
    append_comment(text, "HELP", metric->help);
    append_comment(text, "TYPE", type_name(metric->type));
    if (text->format == KV_METRICS_OPENMETRICS && metric->unit != NULL)
        append_comment(text, "UNIT", metric->unit);
}

static void append_label(struct kv_metrics_text *text, const char *name, const char *value,
                         bool is_first)
{
    append(text, is_first ? "{" : ",");
    append(text, name);
    append(text, "=\"");
    append_escaped(text, value);
    append(text, "\"");
}

/* upper: the bound of a histogram's bucket; NULL: none. */
static void append_name(struct kv_metrics_text *text, const char *suffix,
                        const struct kv_labels *labels, const char *upper)
{
    size_t n = 0;
    append(text, text->metric->name);
    append(text, suffix);
    for (; n < KV_METRIC_LABELS && labels->labels[n].name != NULL; n++)
        append_label(text, labels->labels[n].name, labels->labels[n].value, n == 0);
    if (upper != NULL)
        append_label(text, "le", upper, n == 0);
    append(text, n != 0 || upper != NULL ? "} " : " ");
}

void kv_metrics_sample(struct kv_metrics_text *text, struct kv_labels labels, uint64_t value)
{
    append_name(text, is_counter(text) ? "_total" : "", &labels, NULL);
    append_number(text, value);
    append(text, "\n");
}

void kv_metrics_sample_ns(struct kv_metrics_text *text, struct kv_labels labels, uint64_t ns)
{
    append_name(text, is_counter(text) ? "_total" : "", &labels, NULL);
    append_seconds(text, ns);
    append(text, "\n");
}

void kv_metrics_number(struct kv_metrics_text *text, const struct kv_metric *metric, uint64_t value)
{
    kv_metrics_begin(text, metric);
    kv_metrics_sample(text, KV_NO_LABELS, value);
}

/* ---- histograms ---- */

void kv_histogram_sum_add(struct kv_histogram_sum *sum, const struct kv_histogram *histogram)
{
    for (size_t i = 0; i < KV_HISTOGRAM_BUCKETS; i++)
        sum->buckets[i] += kv_counter_read(&histogram->buckets[i]);
    sum->sum_ns += kv_counter_read(&histogram->sum_ns);
}

static void append_bucket(struct kv_metrics_text *text, const struct kv_labels *labels,
                          const char *upper, uint64_t n)
{
    append_name(text, "_bucket", labels, upper);
    append_number(text, n);
    append(text, "\n");
}

/* The upper bound of a bucket, in seconds. */
static void write_upper(size_t bucket, char *out, size_t size)
{
    uint64_t ns = (uint64_t)1 << (KV_HISTOGRAM_FIRST_BIT + bucket);
    snprintf(out, size, "%llu.%09u", (unsigned long long)(ns / NS_PER_SECOND),
             (unsigned)(ns % NS_PER_SECOND));
}

void kv_metrics_histogram(struct kv_metrics_text *text, struct kv_labels labels,
                          const struct kv_histogram_sum *sum)
{
    uint64_t n = 0;
    for (size_t i = 0; i < KV_HISTOGRAM_BUCKETS; i++) {
        char upper[LONGEST_NUMBER] = "+Inf";
        if (i + 1 < KV_HISTOGRAM_BUCKETS)
            write_upper(i, upper, sizeof(upper));
        n += sum->buckets[i];
        append_bucket(text, &labels, upper, n);
    }
    append_name(text, "_sum", &labels, NULL);
    append_seconds(text, sum->sum_ns);
    append(text, "\n");
    append_name(text, "_count", &labels, NULL);
    append_number(text, n);
    append(text, "\n");
}
