/*
 * Work for the store's threads: an unbounded list under a lock, bounded by what the server lets its
 * connections have under way.
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
    struct entry
        *prepared; /* COMMANDS: of the only one, whose long value is on the disk; or NULL */
    struct kv_cmd *cmds[];
};

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t stirred;
    struct job *first;
    struct job **end;
    size_t weight; /* of the jobs: commands, or 1 for another */
    size_t wanted; /* less does not wake who waits */
    bool is_closed;
    bool is_stirred;
};

void queue_init(struct queue *queue);
void queue_fini(struct queue *queue);

void queue_push(struct queue *queue, struct job *job);

/* No more is pushed; who waits is woken. */
void queue_close(struct queue *queue);

/* Who waits, or is the next to wait, in queue_take_all() returns. */
void queue_stir(struct queue *queue);

/* Waits until there are jobs of that weight, or until `until_ns` of CLOCK_MONOTONIC (KV_NEVER: for
 * ever). Returns: all that there are, chained; less, or NULL, when the time is over, when it was
 * stirred, or when the queue is closed. */
struct job *queue_take_all(struct queue *queue, size_t wanted, int64_t until_ns,
                           bool *ret_is_closed);

/* The same for one. */
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
