/* Metrics of a store: the unit of durations has changed in version 1.8 of the ABI. */
#include "rig.h"

static struct rig rig;

static void tell(struct kv_store *store, struct kv_metrics_out *out)
{
    static const struct kv_metric age = {"kvserver_store_age_seconds", KV_METRIC_GAUGE, "seconds",
                                         "How old the store is"};
    static const struct kv_metric size = {"kvserver_store_size_bytes", KV_METRIC_GAUGE, "bytes",
                                          "How large the store is"};
    (void)store;
    out->number(out, &age, 1500);
    out->number(out, &size, 1500);
}

static void expect_age(bool tells_seconds, const char *line)
{
    struct kv_buffer out = {0};
    struct kv_metrics_text text = {.out = &out};
    rig_init(&rig);
    rig.tells_seconds = tells_seconds;
    rig.ops.metrics = tell;
    rig_open(&rig, 1);
    kv_keyspace_collect(rig.keyspace, &text);
    kv_buffer_append_char(&out, '\0');
    assert_non_null(strstr(out.bytes, line));
    assert_non_null(strstr(out.bytes, "\nkvserver_store_size_bytes 1500\n"));
    kv_buffer_fini(&out);
    rig_fini(&rig);
}

static void seconds_are_told_in_nanoseconds(void **state)
{
    (void)state;
    expect_age(false, "\nkvserver_store_age_seconds 0.0000015\n");
}

static void an_older_store_tells_whole_seconds(void **state)
{
    (void)state;
    expect_age(true, "\nkvserver_store_age_seconds 1500\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds_are_told_in_nanoseconds),
        cmocka_unit_test(an_older_store_tells_whole_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
