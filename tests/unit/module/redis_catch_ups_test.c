/* Catch-ups of a partition of the store `redis` that share a request, when the connection is lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "catch_ups.h"

static struct kv_store store;
static struct kv_cmd older, younger, latest;

static int tear_down(void **state)
{
    (void)state;
    catch_ups_clear(&store);
    store = (struct kv_store){0};
    return 0;
}

static void arrive(struct kv_cmd *cmd, int64_t since_ms)
{
    *cmd = (struct kv_cmd){.op = KV_OP_CATCH_UP};
    assert_true(catch_ups_take(
        &store, &(struct job){.kind = JOB_COMMAND, .cmd = cmd, .since_ms = since_ms}));
}

static struct job ask(void)
{
    struct job request;
    assert_true(catch_ups_are_to_ask(&store, &request));
    assert_true(catch_ups_is_request(&store, &request));
    return request;
}

static void expect_waiting(size_t i, const struct kv_cmd *cmd, int64_t since_ms)
{
    assert_ptr_equal(jobs_at(&store.catch_ups.waiting, i)->cmd, cmd);
    assert_int_equal(jobs_at(&store.catch_ups.waiting, i)->since_ms, since_ms);
}

/* In the order of their arrival: those that wait for too long are at the front. */
static void each_waits_for_its_own_time_when_the_request_is_lost(void **state)
{
    (void)state;
    arrive(&older, 100);
    arrive(&younger, 900);
    ask();
    arrive(&latest, 1000);
    assert_true(catch_ups_take_back(&store));
    assert_int_equal(store.catch_ups.waiting.n, 3);
    expect_waiting(0, &older, 100);
    expect_waiting(1, &younger, 900);
    expect_waiting(2, &latest, 1000);
}

static void they_are_asked_for_again(void **state)
{
    struct job request, job;
    (void)state;
    arrive(&older, 100);
    arrive(&younger, 900);
    ask();
    assert_true(catch_ups_take_back(&store));
    jobs_take_first(&store.catch_ups.waiting); /* it has waited for too long */
    request = ask();
    assert_int_equal(request.since_ms, 900);
    request.cmd->status = KV_OK;
    request.revision = 7;
    assert_true(catch_ups_share(&store, &request, &job));
    assert_ptr_equal(job.cmd, &younger);
    assert_int_equal(younger.revision, 7);
    assert_false(catch_ups_share(&store, &request, &job));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(each_waits_for_its_own_time_when_the_request_is_lost, tear_down),
        cmocka_unit_test_teardown(they_are_asked_for_again, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
