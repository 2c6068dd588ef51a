/*
 * A worker: one thread beside the event loops, for computations that would hold a loop up for too
 * long, as the scanning of a body of hundreds of megabytes. A job runs there, and then its `done`
 * on the loop that asked.
 */
#ifndef KV_LOOP_WORKER_H
#define KV_LOOP_WORKER_H

#include "loop/loop.h"

struct kv_worker;

enum {
    KV_WORKER_LONG_TEXT = 256 << 10 /* from here on, a text is not scanned on a loop */
};

/* The caller's memory, busy until `done` is called. `work` must touch nothing that the loop touches
 * meanwhile. */
struct kv_job {
    void (*work)(struct kv_job *job); /* on the worker's thread */
    void (*done)(struct kv_job *job); /* on the loop; may free the job */
    struct kv_loop *loop;
    struct kv_post post; /* the worker's */
    struct kv_link link;
};

/* The thread starts with the first job. Owns: the caller, by kv_worker_destroy(). */
struct kv_worker *kv_worker_create(void);

/* Jobs run in the order given. `work` and `done` must be set. Where no thread can be had, the job
 * runs at once, on the caller's; `done` is called later in any case. Threads: any loop's. */
void kv_worker_run(struct kv_worker *worker, struct kv_loop *loop, struct kv_job *job);

/* Ends the thread, after the jobs that it has. Accepts NULL. */
void kv_worker_destroy(struct kv_worker *worker);

#endif
