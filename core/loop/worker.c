/* A queue under a lock, which is held for a push or a pop only. */
#include "loop/worker.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

struct kv_worker {
    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t changed;
    struct kv_queue jobs;
    pthread_t thread;
    bool has_thread;
    bool is_ending;
};

struct kv_worker *kv_worker_create(void)
{
    struct kv_worker *worker = kv_calloc(1, sizeof(*worker));
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->changed, NULL);
    kv_queue_init(&worker->jobs);
    return worker;
}

static void on_post(struct kv_post *post)
{
    struct kv_job *job = KV_CONTAINER(post, struct kv_job, post);
    job->done(job);
}

static void run_job(struct kv_job *job)
{
    job->work(job);
    job->post.run = on_post;
    kv_loop_post(job->loop, &job->post);
}

/* Returns: NULL where the thread is to end. */
static struct kv_job *next_job(struct kv_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    while (kv_queue_is_empty(&worker->jobs) && !worker->is_ending)
        pthread_cond_wait(&worker->changed, &worker->lock);
    struct kv_link *link = kv_queue_pop(&worker->jobs);
    pthread_mutex_unlock(&worker->lock);
    return link == NULL ? NULL : KV_CONTAINER(link, struct kv_job, link);
}

static void *work(void *argument)
{
    struct kv_job *job;
    while ((job = next_job(argument)) != NULL)
        run_job(job);
    return NULL;
}

/* Under the lock. Signals are blocked on the loops' threads, and so on this one. */
static bool has_thread(struct kv_worker *worker)
{
    if (!worker->has_thread)
        worker->has_thread = pthread_create(&worker->thread, NULL, work, worker) == 0;
    return worker->has_thread;
}

void kv_worker_run(struct kv_worker *worker, struct kv_loop *loop, struct kv_job *job)
{
    job->loop = loop;
    pthread_mutex_lock(&worker->lock);
    bool is_taken = has_thread(worker);
    if (is_taken) {
        kv_queue_push(&worker->jobs, &job->link);
        pthread_cond_signal(&worker->changed);
    }
    pthread_mutex_unlock(&worker->lock);
    if (!is_taken)
        run_job(job);
}

void kv_worker_destroy(struct kv_worker *worker)
{
    if (worker == NULL)
        return;
    pthread_mutex_lock(&worker->lock);
    worker->is_ending = true;
    pthread_cond_signal(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
    if (worker->has_thread)
        pthread_join(worker->thread, NULL);
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}
