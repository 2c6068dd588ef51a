/*
 * Workers: threads for computations that would hold an event loop up for too long, such as scanning
 * a body of hundreds of megabytes. A job runs on a worker, and then its `done` on the loop that
 * requested it.
 *
 * Jobs of similar length form a lane, and each lane has its own threads, at most one per core. So a
 * short job never waits for long ones; the kernel divides the cores between them, and prefers the
 * shorter lane.
 */
#ifndef KV_LOOP_WORKERS_H
#define KV_LOOP_WORKERS_H

#include "loop/loop.h"

struct kv_workers;

enum {
    KV_WORKERS_LONG_TEXT = 256 << 10 /* texts of this length and more are not scanned on a loop */
};

/* The caller's memory, in use until `done` is called. `work` must not access anything that the loop
 * accesses meanwhile. */
struct kv_job {
    void (*work)(struct kv_job *job); /* on a worker's thread */
    void (*done)(struct kv_job *job); /* on the loop; may free the job */
    size_t bytes;                     /* the amount of data: decides the lane */
    struct kv_loop *loop;             /* this and the members below belong to the workers */
    struct kv_post post;
    struct kv_link link;
};

/* n_threads: the maximum for each lane. They start when they are needed. Owns: the caller, by
 * kv_workers_destroy(). */
struct kv_workers *kv_workers_create(uint32_t n_threads);

/* Jobs of a lane start in the order given. `work`, `done` and `bytes` must be set. If no thread can
 * be created, the job runs at once, on the caller's; `done` is called later in any case, for long
 * jobs once a turn. Threads: any loop's. */
void kv_workers_run(struct kv_workers *workers, struct kv_loop *loop, struct kv_job *job);

/* Ends the threads, after the jobs that they have. Accepts NULL. */
void kv_workers_destroy(struct kv_workers *workers);

#endif
