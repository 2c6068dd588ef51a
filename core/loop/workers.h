/*
 * Workers: threads beside the event loops, for computations that would hold a loop up for too long,
 * as the scanning of a body of hundreds of megabytes. A job runs there, and then its `done` on the
 * loop that asked.
 *
 * Jobs of similar length form a lane, and each lane has threads of its own, at most one a core. So
 * a short job never waits for long ones; the kernel divides the cores between them, and prefers the
 * shorter lane.
 */
#ifndef KV_LOOP_WORKERS_H
#define KV_LOOP_WORKERS_H

#include "loop/loop.h"

struct kv_workers;

enum {
    KV_WORKERS_LONG_TEXT = 256 << 10 /* from here on, a text is not scanned on a loop */
};

/* The caller's memory, busy until `done` is called. `work` must touch nothing that the loop touches
 * meanwhile. */
struct kv_job {
    void (*work)(struct kv_job *job); /* on a worker's thread */
    void (*done)(struct kv_job *job); /* on the loop; may free the job */
    size_t bytes;                     /* how much there is to work on: decides the lane */
    struct kv_loop *loop;             /* the workers', with all below */
    struct kv_post post;
    struct kv_link link;
};

/* n_threads: the most that a lane may have. They start when they are needed. Owns: the caller, by
 * kv_workers_destroy(). */
struct kv_workers *kv_workers_create(uint32_t n_threads);

/* Jobs of a lane start in the order given. `work`, `done` and `bytes` must be set. Where no thread
 * can be had, the job runs at once, on the caller's; `done` is called later in any case, of long
 * jobs one a turn. Threads: any loop's. */
void kv_workers_run(struct kv_workers *workers, struct kv_loop *loop, struct kv_job *job);

/* Ends the threads, after the jobs that they have. Accepts NULL. */
void kv_workers_destroy(struct kv_workers *workers);

#endif
