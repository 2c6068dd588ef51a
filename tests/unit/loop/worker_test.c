/* Jobs beside the loop: each runs, in order, and is done on its loop. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "loop/worker.h"

enum {
    JOBS = 200
};

struct numbered {
    struct kv_job job;
    int number;
    pthread_t worked_on;
};

static struct kv_loop *loop;
static int n_worked;
static int n_done;

static void work(struct kv_job *job)
{
    struct numbered *one = KV_CONTAINER(job, struct numbered, job);
    one->worked_on = pthread_self();
    assert_int_equal(one->number, n_worked++); /* one thread does all of it */
}

static void done(struct kv_job *job)
{
    struct numbered *one = KV_CONTAINER(job, struct numbered, job);
    assert_false(pthread_equal(one->worked_on, pthread_self()));
    assert_int_equal(one->number, n_done++);
    if (n_done == JOBS)
        kv_loop_stop(loop);
}

static void jobs_run_in_order_beside_the_loop_and_are_done_on_it(void **state)
{
    static struct numbered jobs[JOBS];
    struct kv_worker *worker = kv_worker_create();
    (void)state;
    loop = kv_loop_create(0, &kv_clock_boot);
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct numbered){.job = {.work = work, .done = done}, .number = i};
        kv_worker_run(worker, loop, &jobs[i].job);
    }
    kv_loop_run(loop);
    assert_int_equal(n_done, JOBS);
    kv_worker_destroy(worker);
    kv_loop_destroy(loop);
}

static void worker_without_jobs_ends(void **state)
{
    (void)state;
    kv_worker_destroy(kv_worker_create());
    kv_worker_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_run_in_order_beside_the_loop_and_are_done_on_it),
        cmocka_unit_test(worker_without_jobs_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
