#include "turns.h"

#include "worker.h"

#include <stdlib.h>

/* The writes of a loop: to one partition at a time, and each with a larger revision than those
 * before it, so that all take effect in the order submitted. A read waits behind waiting writes to
 * its partition. */
struct turn {
    pthread_mutex_t lock;
    uint32_t part;
    size_t n_under_way;
    uint64_t last; /* the largest revision of those that have been executed */
    struct jobs waiting;
    size_t n_writes[MOST_PARTS]; /* of those that wait, by partition */
};

/* Not within submit(). */
static void fail_waiting(const struct cluster *cluster, const struct job *job)
{
    job->cmd->status = KV_FULL;
    job->cmd->revision = 0;
    cluster->host->done(cluster->host, job->loop, &job->cmd, 1);
}

/* Under the turn's lock. Returns: false if there is no memory: it has not been submitted then. */
static bool submit_now(const struct cluster *cluster, struct turn *turn, uint32_t part,
                       const struct job *job)
{
    struct job turned = *job;
    bool takes_turn = shards_is_write(job); /* before it is submitted: then it may be freed */
    turned.after = takes_turn ? turn->last : 0;
    if (!worker_submit(cluster->shards[part].store, &turned, 1))
        return false;
    turn->part = takes_turn ? part : turn->part;
    turn->n_under_way += takes_turn;
    return true;
}

/* Submits what waits and may go, in order, so that nothing overtakes it: under the turn's lock.
 * Returns: false and *ret_failed if there was no memory to submit that one. */
static bool submit_waiting(const struct cluster *cluster, struct turn *turn, struct job *ret_failed)
{
    while (turn->waiting.n != 0) {
        uint32_t part = shards_part_of(cluster, jobs_at(&turn->waiting, 0)->cmd->key);
        bool takes_turn = shards_is_write(jobs_at(&turn->waiting, 0));
        if (takes_turn && turn->n_under_way != 0 && part != turn->part)
            break;
        struct job job = jobs_take_first(&turn->waiting);
        turn->n_writes[part] -= takes_turn;
        if (!submit_now(cluster, turn, part, &job)) {
            *ret_failed = job;
            return false;
        }
    }
    return true;
}

void turns_go_on(struct cluster *cluster, uint32_t loop, uint64_t revision)
{
    struct turn *turn = &cluster->turns[loop];
    struct job failed;
    if (!cluster->orders_all)
        return;
    pthread_mutex_lock(&turn->lock);
    turn->n_under_way--;
    if (turn->last < revision)
        turn->last = revision;
    while (!submit_waiting(cluster, turn, &failed)) {
        pthread_mutex_unlock(&turn->lock);
        fail_waiting(cluster, &failed);
        pthread_mutex_lock(&turn->lock);
    }
    pthread_mutex_unlock(&turn->lock);
}

/* Under the turn's lock. */
static bool has_to_wait(const struct turn *turn, uint32_t part, const struct job *job)
{
    if (!shards_is_write(job))
        return turn->n_writes[part] != 0;
    return turn->waiting.n != 0 || (turn->n_under_way != 0 && turn->part != part);
}

/* Under the turn's lock. Returns: false if there is no memory. */
static bool wait_in_line(struct turn *turn, uint32_t part, const struct job *job)
{
    if (!jobs_reserve(&turn->waiting, 1))
        return false;
    jobs_append(&turn->waiting, job);
    turn->n_writes[part] += shards_is_write(job);
    return true;
}

/* Returns: false if there is no memory. It does not go out of turn then. */
static bool submit_in_turn(const struct cluster *cluster, uint32_t part, const struct job *job)
{
    struct turn *turn = &cluster->turns[job->loop];
    pthread_mutex_lock(&turn->lock);
    bool is_taken = has_to_wait(turn, part, job) ? wait_in_line(turn, part, job)
                                                 : submit_now(cluster, turn, part, job);
    pthread_mutex_unlock(&turn->lock);
    return is_taken;
}

void turns_submit(const struct cluster *cluster, const struct job *job)
{
    uint32_t part = shards_part_of(cluster, job->cmd->key);
    bool is_taken = cluster->orders_all ? submit_in_turn(cluster, part, job)
                                        : worker_submit(cluster->shards[part].store, job, 1);
    if (is_taken)
        return;
    job->cmd->is_deferred = false;
    job->cmd->status = KV_FULL;
}

struct turn *turns_create(uint32_t n_loops)
{
    struct turn *turns = calloc(n_loops, sizeof(*turns));
    for (uint32_t i = 0; turns != NULL && i < n_loops; i++)
        pthread_mutex_init(&turns[i].lock, NULL);
    return turns;
}

void turns_destroy(struct turn *turns, uint32_t n_loops)
{
    for (uint32_t i = 0; i < n_loops; i++) {
        jobs_clear(&turns[i].waiting);
        pthread_mutex_destroy(&turns[i].lock);
    }
    free(turns);
}
