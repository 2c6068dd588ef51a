/*
 * A queue for each lane, under one lock, which is held only to push or pop. A thread is added when
 * a job finds none idle; idle threads stay.
 */
#include "loop/workers.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"

struct lane_kind {
    size_t below; /* for jobs with fewer bytes */
    int niceness; /* relative to the loops */
};

static const struct lane_kind lane_kinds[] = {
    {1 << 20, 0},
    {16 << 20, 5},
    {SIZE_MAX, 10},
};

enum {
    N_LANES = sizeof(lane_kinds) / sizeof(lane_kinds[0])
};

struct lane {
    struct kv_workers *workers;
    int niceness;
    pthread_cond_t changed;
    struct kv_queue jobs;
    uint32_t n_jobs;
    uint32_t n_idle;
    uint32_t n_threads;
    pthread_t *threads;
};

struct kv_workers {
    pthread_mutex_t lock; /* of everything below */
    bool is_ending;
    uint32_t max_threads; /* of a lane */
    struct lane lanes[N_LANES];
};

struct kv_workers *kv_workers_create(uint32_t n_threads)
{
    struct kv_workers *workers = kv_calloc(1, sizeof(*workers));
    pthread_mutex_init(&workers->lock, NULL);
    workers->max_threads = n_threads;
    for (size_t i = 0; i < N_LANES; i++) {
        struct lane *lane = &workers->lanes[i];
        lane->workers = workers;
        lane->niceness = lane_kinds[i].niceness;
        lane->threads = kv_calloc(n_threads, sizeof(*lane->threads));
        pthread_cond_init(&lane->changed, NULL);
        kv_queue_init(&lane->jobs);
    }
    return workers;
}

/* A store takes milliseconds to copy a long text, so a turn of the loop finishes only one of
 * them. */
static void on_post(struct kv_post *post)
{
    struct kv_job *job = KV_CONTAINER(post, struct kv_job, post);
    if (job->bytes < lane_kinds[0].below || kv_loop_may_take_long(job->loop))
        job->done(job);
    else
        kv_loop_post(job->loop, post);
}

static void run_job(struct kv_job *job)
{
    job->work(job);
    job->post.run = on_post;
    kv_loop_post(job->loop, &job->post);
}

/* Returns: NULL if the thread has to end. */
static struct kv_job *next_job(struct lane *lane)
{
    struct kv_workers *workers = lane->workers;
    pthread_mutex_lock(&workers->lock);
    lane->n_idle++;
    while (kv_queue_is_empty(&lane->jobs) && !workers->is_ending)
        pthread_cond_wait(&lane->changed, &workers->lock);
    lane->n_idle--;
    struct kv_link *link = kv_queue_pop(&lane->jobs);
    lane->n_jobs -= link != NULL;
    pthread_mutex_unlock(&workers->lock);
    return link == NULL ? NULL : KV_CONTAINER(link, struct kv_job, link);
}

static void *work(void *argument)
{
    struct lane *lane = argument;
    struct kv_job *job;
    (void)pthread_setname_np(pthread_self(), "worker");
    /* On Linux each thread has its own niceness. A failure only costs latency. */
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0) + lane->niceness);
    while ((job = next_job(lane)) != NULL)
        run_job(job);
    return NULL;
}

/* Under the lock. The loops' threads block signals, so this thread does as well. */
static void add_thread(struct lane *lane)
{
    if (pthread_create(&lane->threads[lane->n_threads], NULL, work, lane) == 0)
        lane->n_threads++;
}

/* Under the lock. Returns: whether a thread will run the job. */
static bool enqueue(struct lane *lane, struct kv_job *job)
{
    if (lane->n_jobs >= lane->n_idle && lane->n_threads < lane->workers->max_threads)
        add_thread(lane);
    if (lane->n_threads == 0)
        return false;
    kv_queue_push(&lane->jobs, &job->link);
    lane->n_jobs++;
    pthread_cond_signal(&lane->changed);
    return true;
}

static struct lane *lane_of(struct kv_workers *workers, const struct kv_job *job)
{
    size_t i = 0;
    while (i < N_LANES - 1 && job->bytes >= lane_kinds[i].below)
        i++;
    return &workers->lanes[i];
}

void kv_workers_run(struct kv_workers *workers, struct kv_loop *loop, struct kv_job *job)
{
    job->loop = loop;
    pthread_mutex_lock(&workers->lock);
    bool is_taken = enqueue(lane_of(workers, job), job);
    pthread_mutex_unlock(&workers->lock);
    if (!is_taken)
        run_job(job);
}

static void end_threads(struct kv_workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    workers->is_ending = true;
    for (size_t i = 0; i < N_LANES; i++)
        pthread_cond_broadcast(&workers->lanes[i].changed);
    pthread_mutex_unlock(&workers->lock);
}

void kv_workers_destroy(struct kv_workers *workers)
{
    if (workers == NULL)
        return;
    end_threads(workers);
    for (size_t i = 0; i < N_LANES; i++) {
        struct lane *lane = &workers->lanes[i];
        for (uint32_t j = 0; j < lane->n_threads; j++)
            pthread_join(lane->threads[j], NULL);
        pthread_cond_destroy(&lane->changed);
        free(lane->threads);
    }
    pthread_mutex_destroy(&workers->lock);
    free(workers);
}
