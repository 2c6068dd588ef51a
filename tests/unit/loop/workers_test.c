/* Jobs on worker threads: jobs of a lane run in order, short ones do not wait for long ones, and
 * each completes on its loop. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "loop/workers.h"

enum {
    JOBS = 200,
    SHORT = 300 << 10,
    MIDDLING = 5 << 20,
    LONG = 95 << 20
};

struct numbered {
    struct kv_job job;
    int number;
    pthread_t worked_on;
};

static struct kv_loop *loop;
static int n_worked;
static int n_done;
static sem_t gate;

static int create_loop(void **state)
{
    (void)state;
    loop = kv_loop_create(0, &kv_clock_boot);
    n_worked = n_done = 0;
    sem_init(&gate, 0, 0);
    return 0;
}

static int destroy_loop(void **state)
{
    (void)state;
    sem_destroy(&gate);
    kv_loop_destroy(loop);
    return 0;
}

static void work(struct kv_job *job)
{
    struct numbered *one = KV_CONTAINER(job, struct numbered, job);
    one->worked_on = pthread_self();
    assert_int_equal(one->number, n_worked++); /* one thread does all of them */
}

static void done(struct kv_job *job)
{
    struct numbered *one = KV_CONTAINER(job, struct numbered, job);
    assert_false(pthread_equal(one->worked_on, pthread_self()));
    assert_int_equal(one->number, n_done++);
    if (n_done == JOBS)
        kv_loop_stop(loop);
}

static void jobs_run_in_order_off_the_loop_and_complete_on_it(void **state)
{
    static struct numbered jobs[JOBS];
    struct kv_workers *workers = kv_workers_create(1);
    (void)state;
    for (int i = 0; i < JOBS; i++) {
        jobs[i] =
            (struct numbered){.job = {.work = work, .done = done, .bytes = SHORT}, .number = i};
        kv_workers_run(workers, loop, &jobs[i].job);
    }
    kv_loop_run(loop);
    assert_int_equal(n_done, JOBS);
    kv_workers_destroy(workers);
}

static void wait_at_the_gate(struct kv_job *job)
{
    (void)job;
    sem_wait(&gate);
}

static void open_the_gate(struct kv_job *job)
{
    (void)job;
    for (int i = 0; i < JOBS; i++)
        sem_post(&gate);
}

static void count(struct kv_job *job)
{
    (void)job;
    if (++n_done == JOBS)
        kv_loop_stop(loop);
}

/* The long jobs end only after the short one has run. */
static void assert_is_not_held_up(size_t bytes, size_t by_bytes)
{
    static struct kv_job jobs[JOBS];
    struct kv_workers *workers = kv_workers_create(2);
    for (int i = 0; i < JOBS; i++) {
        bool is_last = i == JOBS - 1;
        jobs[i] = (struct kv_job){.work = is_last ? open_the_gate : wait_at_the_gate,
                                  .done = count,
                                  .bytes = is_last ? bytes : by_bytes};
        kv_workers_run(workers, loop, &jobs[i]);
    }
    kv_loop_run(loop);
    assert_int_equal(n_done, JOBS);
    kv_workers_destroy(workers);
}

static void short_job_does_not_wait_for_long_ones(void **state)
{
    (void)state;
    assert_is_not_held_up(SHORT, LONG);
}

static void short_job_does_not_wait_for_middling_ones(void **state)
{
    (void)state;
    assert_is_not_held_up(SHORT, MIDDLING);
}

static void middling_job_does_not_wait_for_long_ones(void **state)
{
    (void)state;
    assert_is_not_held_up(MIDDLING, LONG);
}

/* Each job waits for the other: with one thread they would never end. */
static pthread_barrier_t both;

static void meet(struct kv_job *job)
{
    (void)job;
    pthread_barrier_wait(&both);
}

static void count_two(struct kv_job *job)
{
    (void)job;
    if (++n_done == 2)
        kv_loop_stop(loop);
}

static void lane_runs_as_many_jobs_at_once_as_it_has_threads(void **state)
{
    struct kv_job jobs[2];
    struct kv_workers *workers = kv_workers_create(2);
    (void)state;
    pthread_barrier_init(&both, NULL, 2);
    for (int i = 0; i < 2; i++) {
        jobs[i] = (struct kv_job){.work = meet, .done = count_two, .bytes = LONG};
        kv_workers_run(workers, loop, &jobs[i]);
    }
    kv_loop_run(loop);
    kv_workers_destroy(workers);
    pthread_barrier_destroy(&both);
}

static void workers_without_jobs_end(void **state)
{
    (void)state;
    kv_workers_destroy(kv_workers_create(2));
    kv_workers_destroy(NULL);
}

#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, create_loop, destroy_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOP(jobs_run_in_order_off_the_loop_and_complete_on_it),
        WITH_LOOP(short_job_does_not_wait_for_long_ones),
        WITH_LOOP(short_job_does_not_wait_for_middling_ones),
        WITH_LOOP(middling_job_does_not_wait_for_long_ones),
        WITH_LOOP(lane_runs_as_many_jobs_at_once_as_it_has_threads),
        cmocka_unit_test(workers_without_jobs_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
