/* Turns, timers on a clock that the test owns, and posts from other threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "base/mem.h"
#include "loop/loop.h"

enum {
    POSTS = 20000,
    THREADS = 3
};

struct test_clock {
    struct kv_clock base;
    int64_t now_ms;
};

static int64_t now_ns(const struct kv_clock *clock)
{
    return KV_CONTAINER(clock, const struct test_clock, base)->now_ms * KV_NS_PER_MS;
}

static struct test_clock test_clock = {.base = {.now_ns = now_ns}, .now_ms = 1000};

struct noted_timer {
    struct kv_timer timer;
    char name;
};

static char fired[16];

static void note_fired(struct kv_timer *timer)
{
    char name[2] = {KV_CONTAINER(timer, struct noted_timer, timer)->name, '\0'};
    strcat(fired, name);
}

static void timers_fire_in_order_and_not_early(void **state)
{
    struct kv_loop *loop = kv_loop_create(0, &test_clock.base);
    struct noted_timer a = {.timer = {.fire = note_fired}, .name = 'a'};
    struct noted_timer b = {.timer = {.fire = note_fired}, .name = 'b'};
    struct noted_timer c = {.timer = {.fire = note_fired}, .name = 'c'};
    (void)state;
    fired[0] = '\0';
    kv_timer_start(loop, &a.timer, test_clock.now_ms + 20);
    kv_timer_start(loop, &b.timer, test_clock.now_ms + 10);
    kv_timer_start(loop, &c.timer, test_clock.now_ms + 15);
    kv_timer_stop(loop, &c.timer);
    test_clock.now_ms += 9;
    kv_loop_turn(loop);
    assert_string_equal(fired, "");
    test_clock.now_ms += 100;
    kv_loop_turn(loop);
    assert_string_equal(fired, "ba");
    kv_loop_destroy(loop);
}

static void a_postponed_timer_fires_once_at_the_later_time(void **state)
{
    struct kv_loop *loop = kv_loop_create(0, &test_clock.base);
    struct noted_timer a = {.timer = {.fire = note_fired}, .name = 'a'};
    (void)state;
    fired[0] = '\0';
    kv_timer_start(loop, &a.timer, test_clock.now_ms + 10);
    kv_timer_start(loop, &a.timer, test_clock.now_ms + 20);
    test_clock.now_ms += 15;
    kv_loop_turn(loop);
    assert_string_equal(fired, "");
    test_clock.now_ms += 5;
    kv_loop_turn(loop);
    kv_loop_turn(loop);
    assert_string_equal(fired, "a");
    kv_loop_destroy(loop);
}

/* The work of a turn. */

struct worker {
    struct kv_timer timer;
    struct kv_turn_work work;
    struct kv_histogram durations;
    uint64_t rest_ns;
};

static void note_rest(struct kv_turn_work *work, uint64_t took_ns, unsigned bucket)
{
    assert_int_equal(bucket, kv_histogram_bucket(took_ns));
    KV_CONTAINER(work, struct worker, work)->rest_ns += took_ns;
}

static void do_two_things(struct kv_timer *timer)
{
    struct worker *worker = KV_CONTAINER(timer, struct worker, timer);
    worker->work.n_done += 2;
    worker->work.count_rest = note_rest;
    test_clock.now_ms += 3;
}

static void what_is_done_in_a_turn_counts_as_long_as_the_turn_once(void **state)
{
    struct kv_loop *loop = kv_loop_create(0, &test_clock.base);
    struct worker worker = {.timer = {.fire = do_two_things}};
    (void)state;
    worker.work.durations = &worker.durations;
    kv_loop_set_work(loop, &worker.work);
    kv_timer_start(loop, &worker.timer, test_clock.now_ms);
    kv_loop_turn(loop);
    kv_loop_turn(loop);
    unsigned bucket = kv_histogram_bucket(3 * KV_NS_PER_MS);
    assert_int_equal(kv_counter_read(&worker.durations.buckets[bucket]), 2);
    assert_int_equal(kv_counter_read(&worker.durations.sum_ns), 6 * KV_NS_PER_MS);
    assert_int_equal(worker.rest_ns, 3 * KV_NS_PER_MS);
    kv_loop_destroy(loop);
}

/* Posts. */

struct counted_post {
    struct kv_post post;
    struct kv_loop *loop;
    int thread, number;
};

static int next_of[THREADS];
static int n_run;
static sem_t all_run;

static void count_post(struct kv_post *post)
{
    struct counted_post *one = KV_CONTAINER(post, struct counted_post, post);
    assert_int_equal(one->number, next_of[one->thread]++);
    if (++n_run == THREADS * POSTS)
        sem_post(&all_run);
    free(one);
}

struct poster {
    struct kv_loop *loop;
    int thread;
};

static void *post_many(void *argument)
{
    const struct poster *poster = argument;
    for (int i = 0; i < POSTS; i++) {
        struct counted_post *one = kv_calloc(1, sizeof(*one));
        one->post.run = count_post;
        one->thread = poster->thread;
        one->number = i;
        kv_loop_post(poster->loop, &one->post);
    }
    return NULL;
}

static void *run_loop(void *argument)
{
    kv_loop_run(argument);
    return NULL;
}

static void wait_for(sem_t *semaphore)
{
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 20; /* a loop that misses its wake-up sleeps longer */
    assert_int_equal(sem_timedwait(semaphore, &limit), 0);
}

static void posts_wake_the_loop_and_run_in_each_threads_order(void **state)
{
    struct kv_loop *loop = kv_loop_create(0, &kv_clock_boot);
    pthread_t runner, threads[THREADS];
    struct poster posters[THREADS];
    (void)state;
    sem_init(&all_run, 0, 0);
    pthread_create(&runner, NULL, run_loop, loop);
    for (int i = 0; i < THREADS; i++) {
        posters[i] = (struct poster){.loop = loop, .thread = i};
        pthread_create(&threads[i], NULL, post_many, &posters[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    wait_for(&all_run);
    kv_loop_stop(loop);
    pthread_join(runner, NULL);
    kv_loop_destroy(loop);
    sem_destroy(&all_run);
}

/* A ping-pong that makes the loop fall asleep again and again. */

static sem_t pong;

static void answer(struct kv_post *post)
{
    (void)post;
    sem_post(&pong);
}

static void no_wake_up_is_lost_between_two_sleeps(void **state)
{
    struct kv_loop *loop = kv_loop_create(0, &kv_clock_boot);
    struct kv_post ping = {.run = answer};
    pthread_t runner;
    (void)state;
    sem_init(&pong, 0, 0);
    pthread_create(&runner, NULL, run_loop, loop);
    for (int i = 0; i < 5000; i++) {
        kv_loop_post(loop, &ping);
        wait_for(&pong);
    }
    kv_loop_stop(loop);
    pthread_join(runner, NULL);
    kv_loop_destroy(loop);
    sem_destroy(&pong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order_and_not_early),
        cmocka_unit_test(a_postponed_timer_fires_once_at_the_later_time),
        cmocka_unit_test(what_is_done_in_a_turn_counts_as_long_as_the_turn_once),
        cmocka_unit_test(posts_wake_the_loop_and_run_in_each_threads_order),
        cmocka_unit_test(no_wake_up_is_lost_between_two_sleeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
