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
    queue->weight = 0;
    queue->wanted = 1;
    queue->is_closed = false;
    queue->is_stirred = false;
}

static size_t weight_of(const struct job *job)
{
    return job->kind == JOB_COMMANDS ? job->n_cmds : 1;
}

void queue_fini(struct queue *queue)
{
    pthread_cond_destroy(&queue->stirred);
    pthread_mutex_destroy(&queue->lock);
}

void queue_push(struct queue *queue, struct job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&queue->lock);
    *queue->end = job;
    queue->end = &job->next;
    queue->weight += weight_of(job);
    if (queue->weight >= queue->wanted)
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

void queue_stir(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->is_stirred = true;
    pthread_cond_signal(&queue->stirred);
    pthread_mutex_unlock(&queue->lock);
}

/* Under the lock. */
static void wait_for_jobs(struct queue *queue, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    int fault = 0;
    while (queue->weight < queue->wanted && !queue->is_closed && !queue->is_stirred && fault == 0) {
        if (until_ns == KV_NEVER)
            fault = pthread_cond_wait(&queue->stirred, &queue->lock);
        else
            fault = pthread_cond_timedwait(&queue->stirred, &queue->lock, &until);
    }
}

struct job *queue_take_all(struct queue *queue, size_t wanted, int64_t until_ns,
                           bool *ret_is_closed)
{
    pthread_mutex_lock(&queue->lock);
    queue->wanted = wanted;
    wait_for_jobs(queue, until_ns);
    struct job *jobs = queue->first;
    *ret_is_closed = queue->is_closed;
    queue->is_stirred = false;
    queue->first = NULL;
    queue->end = &queue->first;
    queue->weight = 0;
    pthread_mutex_unlock(&queue->lock);
    return jobs;
}

struct job *queue_take(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    wait_for_jobs(queue, KV_NEVER);
    struct job *job = queue->first;
    if (job != NULL) {
        queue->weight -= weight_of(job);
        if ((queue->first = job->next) == NULL)
            queue->end = &queue->first;
    }
    pthread_mutex_unlock(&queue->lock);
    return job;
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

int64_t queue_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000 + now.tv_nsec;
}
