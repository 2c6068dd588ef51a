/*
 * Work for the store's threads: an unbounded list under a lock; the server limits what its
 * connections may have in progress.
 */
#ifndef KV_DURABLE_QUEUE_H
#define KV_DURABLE_QUEUE_H

#include <kvserver/store.h>

#include <pthread.h>

#include "entry.h"

enum job_kind {
    JOB_COMMANDS,
    JOB_SCAN,
    JOB_LOG,
    JOB_EXPIRE
};

struct job {
    struct job *next;
    enum job_kind kind;
    uint32_t loop; /* COMMANDS, SCAN, LOG */
    union {
        struct kv_scan *scan;
        struct kv_log_page *page; /* LOG */
        struct {
            uint32_t part;
            uint32_t max;
            int64_t now_ms;
            size_t n_decided; /* the writer's */
        } expire;
        size_t n_cmds;
    };
    struct entry *prepared; /* COMMANDS: the state of the only command, with its long value on the
                               disk; or NULL */
    struct kv_cmd *cmds[];
};

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t stirred;
    struct job *first;
    struct job **end;
    size_t weight; /* of the jobs: commands, or 1 for another */
    size_t wanted; /* a smaller weight does not wake the waiter */
    bool is_closed;
    bool is_stirred;
};

void queue_init(struct queue *queue);
void queue_fini(struct queue *queue);

void queue_push(struct queue *queue, struct job *job);

/* Nothing may be pushed any more; wakes the waiters. */
void queue_close(struct queue *queue);

/* Makes the present or the next wait in queue_take_all() return. */
void queue_stir(struct queue *queue);

/* Waits until there are jobs of that weight, or until `until_ns` of CLOCK_MONOTONIC (KV_NEVER: for
 * ever). Returns: all jobs, chained; fewer, or NULL, if the time is over, the queue was stirred, or
 * it is closed. */
struct job *queue_take_all(struct queue *queue, size_t wanted, int64_t until_ns,
                           bool *ret_is_closed);

/* The same for one job. */
struct job *queue_take(struct queue *queue);

/* A job for n commands. Returns: NULL if memory runs out. Owns: the caller, by free(). */
struct job *job_create(enum job_kind kind, uint32_t loop, size_t n);

/* CLOCK_MONOTONIC, for the waits of threads. */
int64_t queue_now_ns(void);

static inline int64_t queue_now_ms(void)
{
    return queue_now_ns() / 1000000;
}

#endif
