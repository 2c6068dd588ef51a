/* Reloads are logged in their order, each when all loops have taken it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "daemon/rollouts.h"

enum {
    LOOPS = 2
};

static struct kv_loop *loops[LOOPS];
static struct kv_rollouts *rollouts;
static int n_done;
static int real_stderr;
static FILE *captured;

static void note_done(void)
{
    n_done++;
}

static int set_up(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < LOOPS; i++)
        loops[i] = kv_loop_create(i, &kv_clock_boot);
    rollouts = kv_rollouts_create(loops, LOOPS, note_done);
    n_done = 0;
    real_stderr = dup(STDERR_FILENO);
    captured = tmpfile();
    dup2(fileno(captured), STDERR_FILENO);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    fclose(captured);
    for (uint32_t i = 0; i < LOOPS; i++)
        kv_loop_destroy(loops[i]);
    kv_rollouts_destroy(rollouts);
    return 0;
}

/* Whether the text is in the log. */
static bool is_logged(const char *text)
{
    char log[4096] = "";
    ssize_t got = pread(fileno(captured), log, sizeof(log) - 1, 0);
    assert_true(got >= 0);
    return strstr(log, text) != NULL;
}

static void begin(const char *text)
{
    struct kv_log_lines lines = {0};
    kv_log_lines_add(&lines, KV_LOG_INFO, "one", "%s", text);
    kv_log_lines_add(&lines, KV_LOG_WARN, "two", "after %s", text);
    kv_rollouts_begin(rollouts, lines);
}

static void report_waits_for_the_last_loop(void **state)
{
    (void)state;
    begin("100 %");
    kv_loop_turn(loops[0]);
    assert_false(kv_rollouts_finish(rollouts));
    assert_false(is_logged("100 %"));
    assert_int_equal(n_done, 0);
    kv_loop_turn(loops[1]);
    assert_int_equal(n_done, 1);
    assert_true(kv_rollouts_finish(rollouts));
    assert_true(is_logged(" info  one: 100 %\n"));
    assert_true(is_logged(" warn  two: after 100 %\n"));
}

static void report_does_not_wait_for_later_reloads(void **state)
{
    (void)state;
    begin("first");
    kv_loop_turn(loops[0]);
    begin("second");
    kv_loop_turn(loops[1]);
    assert_int_equal(n_done, 1);
    assert_false(kv_rollouts_finish(rollouts));
    assert_true(is_logged("after first"));
    assert_false(is_logged("second"));
    kv_loop_turn(loops[0]);
    assert_true(kv_rollouts_finish(rollouts));
    assert_true(is_logged("after second"));
}

static void report_may_be_empty(void **state)
{
    (void)state;
    kv_rollouts_begin(rollouts, (struct kv_log_lines){0});
    assert_false(kv_rollouts_finish(rollouts));
    kv_loop_turn(loops[0]);
    kv_loop_turn(loops[1]);
    assert_true(kv_rollouts_finish(rollouts));
}

static void reload_that_no_loop_takes_is_not_reported(void **state)
{
    (void)state;
    begin("first");
    assert_false(kv_rollouts_finish(rollouts));
    assert_false(is_logged("first"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(report_waits_for_the_last_loop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(report_does_not_wait_for_later_reloads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(report_may_be_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reload_that_no_loop_takes_is_not_reported, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
