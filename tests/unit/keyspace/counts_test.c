/* Metrics of commands: each command is counted once, with its outcome and its duration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "keyspace/counts.h"

enum {
    TURN_NS = 100 /* the start of the turn */
};

static int64_t began_ns;
static struct kv_counts *counts;

static int set_up(void **state)
{
    (void)state;
    counts = kv_calloc(1, sizeof(*counts));
    kv_counts_init(counts, &began_ns);
    began_ns = TURN_NS;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(counts);
    return 0;
}

static void finish(enum kv_command_kind kind, int status, int64_t sent_ns)
{
    struct kv_command command = {.kind = kind, .status = status, .sent_ns = sent_ns};
    kv_counts_finish(counts, &command);
}

static void end_turn(uint64_t took_ns)
{
    kv_turn_work_end(&counts->work, took_ns, kv_histogram_bucket(took_ns));
}

static void expect_line(const char *line)
{
    struct kv_buffer out = {0};
    struct kv_metrics_text text = {.out = &out};
    const struct kv_counts *all[] = {counts};
    kv_counts_collect(all, 1, &text);
    kv_buffer_append_char(&out, '\0');
    if (strstr(out.bytes, line) == NULL)
        fail_msg("there is no line %s", line);
    kv_buffer_fini(&out);
}

#define COMMANDS(operation, outcome, n)                                                            \
    expect_line("\nkvserver_commands_total{operation=\"" operation "\",outcome=\"" outcome         \
                "\"} " #n "\n")
#define DURATIONS(operation, of, value)                                                            \
    expect_line("\nkvserver_command_duration_seconds_" of "{operation=\"" operation "\"} " value   \
                "\n")

static void commands_of_a_turn_take_as_long_as_the_turn(void **state)
{
    (void)state;
    finish(KV_COMMAND_GET, KV_OK, TURN_NS);
    finish(KV_COMMAND_GET, KV_OK, TURN_NS);
    finish(KV_COMMAND_SET, KV_OK, TURN_NS);
    end_turn(20000);
    COMMANDS("get", "ok", 2);
    COMMANDS("set", "ok", 1);
    DURATIONS("get", "count", "2");
    DURATIONS("get", "sum", "0.00004");
    DURATIONS("set", "sum", "0.00002");
    end_turn(50000); /* a turn without commands */
    DURATIONS("get", "sum", "0.00004");
}

static void other_outcomes_are_counted_separately(void **state)
{
    (void)state;
    finish(KV_COMMAND_GET, KV_MISSING, TURN_NS);
    finish(KV_COMMAND_GET, KV_OK, TURN_NS);
    end_turn(1000);
    COMMANDS("get", "ok", 1);
    COMMANDS("get", "missing", 1);
    DURATIONS("get", "count", "2");
    DURATIONS("get", "sum", "0.000002");
}

static void each_turn_counts_its_own_mixture(void **state)
{
    (void)state;
    finish(KV_COMMAND_GET, KV_OK, TURN_NS);
    finish(KV_COMMAND_SET, KV_OK, TURN_NS);
    finish(KV_COMMAND_GET, KV_OK, TURN_NS);
    finish(KV_COMMAND_GET, KV_MISSING, TURN_NS);
    finish(KV_COMMAND_SET, KV_OK, TURN_NS);
    end_turn(20000);
    finish(KV_COMMAND_SET, KV_OK, TURN_NS);
    end_turn(50000);
    finish(KV_COMMAND_GET, KV_MISSING, TURN_NS);
    end_turn(1000);
    COMMANDS("get", "ok", 2);
    COMMANDS("get", "missing", 2);
    COMMANDS("set", "ok", 3);
    DURATIONS("get", "count", "4");
    DURATIONS("get", "sum", "0.000061");
    DURATIONS("set", "count", "3");
    DURATIONS("set", "sum", "0.00009");
}

static void commands_from_earlier_turns_are_measured_from_their_start(void **state)
{
    (void)state;
    finish(KV_COMMAND_SET, KV_OK, TURN_NS - 50);
    finish(KV_COMMAND_SET, KV_FULL, TURN_NS - 50);
    end_turn(1000);
    COMMANDS("set", "ok", 1);
    COMMANDS("set", "full", 1);
    DURATIONS("set", "count", "2");
    DURATIONS("set", "sum", "0.0000001");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(commands_of_a_turn_take_as_long_as_the_turn),
        TEST(other_outcomes_are_counted_separately),
        TEST(each_turn_counts_its_own_mixture),
        TEST(commands_from_earlier_turns_are_measured_from_their_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
