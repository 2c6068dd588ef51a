/*
 * metrics(): uniquely named figures, available at any time; and parts().
 */
#include "contract/store/fixture.h"

#include "base/mem.h"

enum {
    MOST_METRICS = 64,
    N_WRITES = 200
};

static const uint64_t KEYS_UNTOLD = UINT64_MAX;

/* The metrics that a store reports. */
struct told_metrics {
    struct kv_metrics_out out;
    const struct kv_metric *metrics[MOST_METRICS];
    size_t n;
    uint64_t n_keys; /* KEYS_UNTOLD */
};

static void take(struct told_metrics *told, const struct kv_metric *metric)
{
    static const char prefix[] = "kvserver_store_";
    assert_int_equal(strncmp(metric->name, prefix, sizeof(prefix) - 1), 0);
    assert_non_null(metric->help);
    assert_null(strstr(metric->name, "_total")); /* the server adds it */
    assert_true(told->n < MOST_METRICS);
    for (size_t i = 0; i < told->n; i++)
        assert_string_not_equal(told->metrics[i]->name, metric->name);
    told->metrics[told->n++] = metric;
}

static void take_number(struct kv_metrics_out *out, const struct kv_metric *metric, uint64_t value)
{
    struct told_metrics *told = KV_CONTAINER(out, struct told_metrics, out);
    assert_int_not_equal(metric->type, KV_METRIC_HISTOGRAM);
    take(told, metric);
    if (strcmp(metric->name, "kvserver_store_keys") == 0)
        told->n_keys = value;
}

static void take_durations(struct kv_metrics_out *out, const struct kv_metric *metric,
                           const struct kv_histogram *histogram)
{
    assert_non_null(histogram);
    assert_int_equal(metric->type, KV_METRIC_HISTOGRAM);
    take(KV_CONTAINER(out, struct told_metrics, out), metric);
}

static struct told_metrics ask(const struct fixture *fixture)
{
    struct told_metrics told = {.out = {.size = sizeof(struct kv_metrics_out),
                                        .number = take_number,
                                        .durations = take_durations},
                                .n_keys = KEYS_UNTOLD};
    fixture->ops->metrics(fixture->store, &told.out);
    return told;
}

static struct fixture *measured(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->ops->metrics == NULL)
        skip(); /* the store reports no metrics */
    return fixture;
}

static void figures_have_unique_names(void **state)
{
    struct fixture *fixture = measured(state);
    assert_int_not_equal(ask(fixture).n, 0);
}

static void assert_keys(const struct fixture *fixture, uint64_t n)
{
    assert_int_equal(ask(fixture).n_keys, n);
}

/* A store that estimates large counts must know small ones exactly. */
static void keys_are_counted_at_once_and_after_a_restart(void **state)
{
    struct fixture *fixture = measured(state);
    if (ask(fixture).n_keys == KEYS_UNTOLD)
        skip();
    assert_keys(fixture, 0);
    put(fixture, KV_SLICE("one"), KV_SLICE("1"));
    put(fixture, KV_SLICE("two"), KV_SLICE("1"));
    assert_keys(fixture, 2);
    put(fixture, KV_SLICE("one"), KV_SLICE("2"));
    assert_keys(fixture, 2);
    assert_status(fixture, call_delete(KV_SLICE("two")), KV_OK);
    assert_keys(fixture, 1);
    put(fixture, KV_SLICE("three"), KV_SLICE("1"));
    assert_keys(fixture, 2);
    if ((fixture->capabilities & KV_STORE_DURABLE) == 0)
        return;
    fixture_reopen(fixture);
    assert_keys(fixture, 2);
}

static void *write_on(void *argument)
{
    for (int i = 0; i < N_WRITES; i++)
        put(argument, KV_SLICE("key"), i % 2 == 0 ? KV_SLICE("1") : KV_SLICE("2"));
    return NULL;
}

static void figures_can_be_read_during_writes(void **state)
{
    struct fixture *fixture = measured(state);
    pthread_t writer;
    assert_int_equal(pthread_create(&writer, NULL, write_on, fixture), 0);
    for (int i = 0; i < N_WRITES; i++)
        ask(fixture);
    assert_int_equal(pthread_join(writer, NULL), 0);
}

/* ---- parts() ---- */

struct told_parts {
    struct kv_parts_out out;
    uint32_t n;
};

static void take_part(struct kv_parts_out *out, const struct kv_part_state *state)
{
    struct told_parts *told = KV_CONTAINER(out, struct told_parts, out);
    assert_true(state->size >= sizeof(uint32_t));
    assert_int_equal(state->part, told->n);
    assert_true(state->is_connected);
    assert_int_not_equal(state->node.len, 0);
    assert_int_equal(state->fault.len, 0);
    if (state->holder != KV_HOLDER_UNKNOWN) {
        assert_int_not_equal(state->holder_id.len, 0);
        assert_true(state->behind_ms >= -1);
    }
    told->n++;
}

static void parts_are_reported_in_order_during_writes(void **state)
{
    struct fixture *fixture = *state;
    struct kv_store_info info = {0};
    pthread_t writer;
    if (fixture->ops->parts == NULL)
        skip(); /* the data is not on another server */
    fixture->ops->info(fixture->store, &info);
    assert_int_equal(pthread_create(&writer, NULL, write_on, fixture), 0);
    for (int i = 0; i < N_WRITES; i++) {
        struct told_parts told = {.out = {.size = sizeof(struct kv_parts_out), .part = take_part}};
        fixture->ops->parts(fixture->store, &told.out);
        assert_int_equal(told.n, info.parts);
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
}

int run_metrics_tests(void)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(figures_have_unique_names),
        CONTRACT_TEST(keys_are_counted_at_once_and_after_a_restart),
        CONTRACT_TEST(figures_can_be_read_during_writes),
        CONTRACT_TEST(parts_are_reported_in_order_during_writes),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
