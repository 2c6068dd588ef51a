#include "queue.h"

#include <stdlib.h>
#include <time.h>

void queue_init(struct queue *queue)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->stirred, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&queue->lock, NULL);
    queue->first = NULL;
    queue->end = &queue->first;
    queue->n_cmds = 0;
    queue->is_closed = false;
}

void queue_fini(struct queue *queue)
{
    pthread_cond_destroy(&queue->stirred);
    pthread_mutex_destroy(&queue->lock);
}

static size_t job_n_cmds(const struct job *job)
{
    return job->kind == JOB_COMMANDS ? job->n_cmds : 0;
}

void queue_push(struct queue *queue, struct job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&queue->lock);
    *queue->end = job;
    queue->end = &job->next;
    queue->n_cmds += job_n_cmds(job);
    pthread_cond_signal(&queue->stirred);
    pthread_mutex_unlock(&queue->lock);
}

void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->is_closed = true;
    pthread_cond_broadcast(&queue->stirred);
    pthread_mutex_unlock(&queue->lock);
}

/* Under the lock: until something is pushed. Returns: false when the time is over. */
static bool wait_for_push(struct queue *queue, int64_t until_us)
{
    if (until_us == KV_NEVER)
        return pthread_cond_wait(&queue->stirred, &queue->lock) == 0;
    struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
    return pthread_cond_timedwait(&queue->stirred, &queue->lock, &until) == 0;
}

static void wait_for_jobs(struct queue *queue, int64_t until_us)
{
    while (queue->first == NULL && !queue->is_closed && wait_for_push(queue, until_us))
        continue;
}

static void wait_for_more(struct queue *queue, struct queue_patience patience)
{
    if (patience.us == 0 || queue->n_cmds >= patience.n_cmds)
        return;
    int64_t until_us = queue_now_us() + patience.us;
    while (queue->n_cmds < patience.n_cmds && !queue->is_closed && wait_for_push(queue, until_us))
        continue;
}

struct job *queue_take_all(struct queue *queue, int64_t until_ms, struct queue_patience patience,
                           bool *ret_is_closed)
{
    pthread_mutex_lock(&queue->lock);
    wait_for_jobs(queue, until_ms == KV_NEVER ? KV_NEVER : until_ms * 1000);
    if (queue->first != NULL)
        wait_for_more(queue, patience);
    struct job *jobs = queue->first;
    *ret_is_closed = queue->is_closed;
    queue->first = NULL;
    queue->end = &queue->first;
    queue->n_cmds = 0;
    pthread_mutex_unlock(&queue->lock);
    return jobs;
}

struct job *queue_take(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    wait_for_jobs(queue, KV_NEVER);
    struct job *job = queue->first;
    if (job != NULL && (queue->first = job->next) == NULL)
        queue->end = &queue->first;
    if (job != NULL)
        queue->n_cmds -= job_n_cmds(job);
    pthread_mutex_unlock(&queue->lock);
    return job;
}

size_t queue_n_cmds(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    size_t n = queue->n_cmds;
    pthread_mutex_unlock(&queue->lock);
    return n;
}

struct job *job_create(enum job_kind kind, uint32_t loop, size_t n)
{
    struct job *job = malloc(sizeof(*job) + n * sizeof(struct kv_cmd *));
    if (job == NULL)
        return NULL;
    memset(job, 0, sizeof(*job));
    job->kind = kind;
    job->loop = loop;
    return job;
}

int64_t queue_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
