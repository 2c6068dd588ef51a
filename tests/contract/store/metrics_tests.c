/*
 * metrics(): figures with names of their own, which can be asked for at any time.
 */
#include "contract/store/fixture.h"

#include "base/mem.h"

enum {
    MOST_METRICS = 64,
    N_WRITES = 200
};

/* What a store has told. */
struct told_metrics {
    struct kv_metrics_out out;
    const struct kv_metric *metrics[MOST_METRICS];
    size_t n;
};

static void take(struct told_metrics *told, const struct kv_metric *metric)
{
    static const char prefix[] = "kvserver_store_";
    assert_int_equal(strncmp(metric->name, prefix, sizeof(prefix) - 1), 0);
    assert_non_null(metric->help);
    assert_true(told->n < MOST_METRICS);
    for (size_t i = 0; i < told->n; i++)
        assert_string_not_equal(told->metrics[i]->name, metric->name);
    told->metrics[told->n++] = metric;
}

static void take_number(struct kv_metrics_out *out, const struct kv_metric *metric, uint64_t value)
{
    (void)value;
    assert_int_not_equal(metric->type, KV_METRIC_HISTOGRAM);
    take(KV_CONTAINER(out, struct told_metrics, out), metric);
}

static void take_durations(struct kv_metrics_out *out, const struct kv_metric *metric,
                           const struct kv_histogram *histogram)
{
    assert_non_null(histogram);
    assert_int_equal(metric->type, KV_METRIC_HISTOGRAM);
    take(KV_CONTAINER(out, struct told_metrics, out), metric);
}

static size_t ask(const struct fixture *fixture)
{
    struct told_metrics told = {.out = {.size = sizeof(struct kv_metrics_out),
                                        .number = take_number,
                                        .durations = take_durations}};
    fixture->ops->metrics(fixture->store, &told.out);
    return told.n;
}

static struct fixture *measured(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->ops->metrics == NULL)
        skip(); /* it tells none */
    return fixture;
}

static void figures_have_names_of_their_own(void **state)
{
    struct fixture *fixture = measured(state);
    assert_int_not_equal(ask(fixture), 0);
}

static void *write_on(void *argument)
{
    for (int i = 0; i < N_WRITES; i++)
        put(argument, KV_SLICE("key"), i % 2 == 0 ? KV_SLICE("1") : KV_SLICE("2"));
    return NULL;
}

static void figures_can_be_asked_for_while_others_write(void **state)
{
    struct fixture *fixture = measured(state);
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_on, fixture), 0);
    for (int i = 0; i < N_WRITES; i++)
        ask(fixture);
    assert_int_equal(pthread_join(writer, NULL), 0);
}

int run_metrics_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(figures_have_names_of_their_own),
        CONTRACT_TEST(figures_can_be_asked_for_while_others_write),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
