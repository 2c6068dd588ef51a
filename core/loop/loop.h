/*
 * An event loop: one thread's sockets (libh2o's evloop), timers, posts from other threads, and the
 * stages that finish every turn.
 *
 * A turn: sockets that are ready are served, then posts are run, timers fire, and the stages run in
 * the order in which they were added. So the work that sockets request in a turn is gathered, and
 * the stages do it together: commands are submitted in vectors, and each connection writes once. A
 * stage may relieve a turn that has gathered too much.
 */
#ifndef KV_LOOP_LOOP_H
#define KV_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/metrics.h"

struct kv_loop;

/* Owns: the caller, by kv_loop_destroy(), on the thread that ran it or after that thread ended. */
struct kv_loop *kv_loop_create(uint32_t index, const struct kv_clock *clock);
void kv_loop_destroy(struct kv_loop *loop);

/* Runs turns on the calling thread until kv_loop_stop(). */
void kv_loop_run(struct kv_loop *loop);

/* Runs one turn without waiting, for a test that owns the loop. */
void kv_loop_turn(struct kv_loop *loop);

/* Ends kv_loop_run() after the turn under way. Threads: any. */
void kv_loop_stop(struct kv_loop *loop);

/* Makes the loop begin another turn soon. Threads: any; cheap while the loop is awake. */
void kv_loop_wake(struct kv_loop *loop);

/* libh2o's loop: see evloop.h. */
struct st_h2o_evloop_t *kv_loop_evloop(struct kv_loop *loop);

uint32_t kv_loop_index(const struct kv_loop *loop);

/* For work that keeps the loop busy for milliseconds and can wait: returns true once a turn. */
bool kv_loop_may_take_long(struct kv_loop *loop);

/* The time of the turn; for deadlines that must be noticed at once, read the clock. */
int64_t kv_loop_now_ms(const struct kv_loop *loop);

/* The work of a turn begins with the input of its sockets: call before reading from one. */
void kv_loop_begin_work(struct kv_loop *loop);
/* Call after serving a socket, with no work of it left. */
void kv_loop_end_work(struct kv_loop *loop);
/* Points to the time when the turn's work began, in nanoseconds; 0 between turns. Lent. */
const int64_t *kv_loop_began_ns(const struct kv_loop *loop);

/* The work of a turn, which takes as long as the whole turn with all of its stages: the loop
 * counts these durations at its end. The caller's memory, until the loop is destroyed. */
struct kv_turn_work {
    struct kv_histogram *durations; /* of what is counted in `n_done`; never NULL */
    uint64_t n_done;                /* in this turn */
    /* Counts what else was done in this turn, once. bucket: that of the time in a histogram. NULL:
     * there is nothing else. */
    void (*count_rest)(struct kv_turn_work *work, uint64_t took_ns, unsigned bucket);
};

/* Before the loop runs; a loop has one. */
void kv_loop_set_work(struct kv_loop *loop, struct kv_turn_work *work);

/* The loop's own: the turn is over, and has taken so long, which belongs into that bucket. */
static inline void kv_turn_work_end(struct kv_turn_work *work, uint64_t took_ns, unsigned bucket)
{
    kv_histogram_add_in(work->durations, bucket, took_ns, work->n_done);
    work->n_done = 0;
    if (work->count_rest == NULL)
        return;
    work->count_rest(work, took_ns, bucket);
    work->count_rest = NULL;
}

/* Writes the metrics of n loops. Threads: any. */
void kv_loops_collect(struct kv_loop *const *loops, uint32_t n, struct kv_metrics_text *text);

/* A function to run on the loop's thread. The caller's memory, in use until `run` is called; `run`
 * may free it or post it again. */
struct kv_post {
    struct kv_link link;
    void (*run)(struct kv_post *post);
};

/* Threads: any. Posts from one thread run in order. */
void kv_loop_post(struct kv_loop *loop, struct kv_post *post);

/* A timer of the loop's thread. The caller's memory; zero it, set `fire`. */
struct kv_timer {
    struct kv_heap_node node;
    void (*fire)(struct kv_timer *timer);
};

/* Starts, or moves, the timer. It fires once, at or after `at_ms`. */
void kv_timer_start(struct kv_loop *loop, struct kv_timer *timer, int64_t at_ms);
void kv_timer_stop(struct kv_loop *loop, struct kv_timer *timer);

/* Makes a started timer fire at `at_ms` if it would fire later. Does nothing if it is stopped. */
void kv_timer_hasten(struct kv_loop *loop, struct kv_timer *timer, int64_t at_ms);

/* Work at the end of every turn. The caller's memory, until the loop is destroyed. Any of its
 * functions may be NULL. */
struct kv_loop_stage {
    struct kv_list link;
    void (*run)(struct kv_loop_stage *stage);
    /* Runs whenever a socket has been served: the stage may do part of its work before the end of
     * the turn, so that the gathered commands stay in the processor's caches. */
    void (*relieve)(struct kv_loop_stage *stage);
    /* Runs after all stages, and after the call-backs of the writes that they made: the last work
     * before sockets are polled. */
    void (*settle)(struct kv_loop_stage *stage);
    /* The latest time at which the stage has to run: a past time for at once, INT64_MAX for never.
     * Called after the loop has announced that it will sleep; so work that another thread makes
     * visible before it calls kv_loop_wake() is either seen here or wakes the loop. */
    int64_t (*wake_at)(struct kv_loop_stage *stage);
};

/* Call before the loop runs. */
void kv_loop_add_stage(struct kv_loop *loop, struct kv_loop_stage *stage);

#endif
