/* The text of metrics: both formats, escapes, and the sums of histograms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/metrics.h"

static const struct kv_metric requests = {"kvserver_requests", KV_METRIC_COUNTER, NULL, "Requests"};
static const struct kv_metric used = {"kvserver_used_bytes", KV_METRIC_GAUGE, "bytes", "In use"};
static const struct kv_metric took = {"kvserver_took_seconds", KV_METRIC_HISTOGRAM, "seconds",
                                      "Durations"};

static void collect(void *context, struct kv_metrics_text *text)
{
    kv_metrics_begin(text, &requests);
    kv_metrics_sample(text, (struct kv_labels){{{"code", "200"}}}, 7);
    kv_metrics_sample(text, (struct kv_labels){{{"code", context}, {"way", "x"}}}, 0);
    kv_metrics_number(text, &used, UINT64_MAX);
}

static void expect(enum kv_metrics_format format, const char *expected)
{
    char label[] = "a\"b\\c\nd";
    struct kv_buffer out = {0};
    struct kv_metrics *metrics = kv_metrics_create();
    kv_metrics_add(metrics, collect, label);
    kv_metrics_write(metrics, format, &out);
    kv_buffer_append_char(&out, '\0');
    assert_string_equal(out.bytes, expected);
    kv_metrics_destroy(metrics);
    kv_buffer_fini(&out);
}

static void prometheus_format_is_written(void **state)
{
    (void)state;
    expect(KV_METRICS_PROMETHEUS, "# HELP kvserver_requests_total Requests\n"
                                  "# TYPE kvserver_requests_total counter\n"
                                  "kvserver_requests_total{code=\"200\"} 7\n"
                                  "kvserver_requests_total{code=\"a\\\"b\\\\c\\nd\",way=\"x\"} 0\n"
                                  "# HELP kvserver_used_bytes In use\n"
                                  "# TYPE kvserver_used_bytes gauge\n"
                                  "kvserver_used_bytes 18446744073709551615\n");
}

static void openmetrics_format_is_written(void **state)
{
    (void)state;
    expect(KV_METRICS_OPENMETRICS, "# HELP kvserver_requests Requests\n"
                                   "# TYPE kvserver_requests counter\n"
                                   "kvserver_requests_total{code=\"200\"} 7\n"
                                   "kvserver_requests_total{code=\"a\\\"b\\\\c\\nd\",way=\"x\"} 0\n"
                                   "# HELP kvserver_used_bytes In use\n"
                                   "# TYPE kvserver_used_bytes gauge\n"
                                   "# UNIT kvserver_used_bytes bytes\n"
                                   "kvserver_used_bytes 18446744073709551615\n"
                                   "# EOF\n");
}

static void buckets_end_at_powers_of_two(void **state)
{
    static const struct {
        uint64_t ns;
        unsigned bucket;
    } cases[] = {
        {0, 0},
        {1, 0},
        {16384, 0},
        {16385, 1},
        {32768, 1},
        {32769, 2},
        {65536, 2},
        {1048576, 6},
        {1048577, 7},
        {17179869184, 20},
        {17179869185, 21},
        {UINT64_MAX, 21},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(kv_histogram_bucket(cases[i].ns), cases[i].bucket);
}

static bool has_line(const struct kv_buffer *out, const char *line)
{
    return strstr(out->bytes, line) != NULL;
}

static void histograms_are_summed_and_cumulative(void **state)
{
    struct kv_histogram one = {0}, other = {0};
    struct kv_histogram_sum sum = {0};
    struct kv_buffer out = {0};
    struct kv_metrics_text text = {.out = &out};
    (void)state;
    kv_histogram_add(&one, 10000, 2);
    kv_histogram_add(&one, -5, 1);
    kv_histogram_add_shared(&other, 40000);
    kv_histogram_add(&other, INT64_C(100000000000), 1);
    kv_histogram_sum_add(&sum, &one);
    kv_histogram_sum_add(&sum, &other);
    kv_metrics_begin(&text, &took);
    kv_metrics_histogram(&text, (struct kv_labels){{{"op", "get"}}}, &sum);
    kv_buffer_append_char(&out, '\0');
    assert_true(
        has_line(&out, "\nkvserver_took_seconds_bucket{op=\"get\",le=\"0.000016384\"} 3\n"));
    assert_true(
        has_line(&out, "\nkvserver_took_seconds_bucket{op=\"get\",le=\"0.000032768\"} 3\n"));
    assert_true(
        has_line(&out, "\nkvserver_took_seconds_bucket{op=\"get\",le=\"0.000065536\"} 4\n"));
    assert_true(
        has_line(&out, "\nkvserver_took_seconds_bucket{op=\"get\",le=\"17.179869184\"} 4\n"));
    assert_true(has_line(&out, "\nkvserver_took_seconds_bucket{op=\"get\",le=\"+Inf\"} 5\n"));
    assert_true(has_line(&out, "\nkvserver_took_seconds_sum{op=\"get\"} 100.00006\n"));
    assert_true(has_line(&out, "\nkvserver_took_seconds_count{op=\"get\"} 5\n"));
    kv_buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prometheus_format_is_written),
        cmocka_unit_test(openmetrics_format_is_written),
        cmocka_unit_test(buckets_end_at_powers_of_two),
        cmocka_unit_test(histograms_are_summed_and_cumulative),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
