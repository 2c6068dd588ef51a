#include "turns.h"

#include "telling.h"
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

static void fail_unsent(struct cluster *cluster, const struct job *job)
{
    struct job failed = *job;
    failed.cmd->status = KV_FULL;
    failed.cmd->revision = 0;
    telling_hold(&cluster->shards[shards_part_of(cluster, failed.cmd->key)], &failed);
}

/* Submits what waits and may go, in order, so that nothing overtakes it: under the turn's lock.
 * Returns: false and *ret_failed where there was no memory to submit that one. */
static bool submit_waiting(struct cluster *cluster, struct turn *turn, struct job *ret_failed)
{
    while (turn->waiting.n != 0) {
        uint32_t part = shards_part_of(cluster, jobs_at(&turn->waiting, 0)->cmd->key);
        bool takes_turn = shards_is_write(jobs_at(&turn->waiting, 0));
        if (takes_turn && turn->n_under_way != 0 && part != turn->part)
            break;
        struct job job = jobs_take_first(&turn->waiting);
        if (takes_turn) {
            turn->n_writes[part]--;
            turn->part = part;
            turn->n_under_way++;
            job.after = turn->last;
        }
        if (!worker_submit(cluster->shards[part].store, &job, 1)) {
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
        turn->n_under_way -= shards_is_write(&failed);
        pthread_mutex_unlock(&turn->lock);
        fail_unsent(cluster, &failed);
        pthread_mutex_lock(&turn->lock);
    }
    pthread_mutex_unlock(&turn->lock);
}

/* Returns: whether it may go now. */
static bool take_turn(struct cluster *cluster, uint32_t part, struct job *job)
{
    struct turn *turn = &cluster->turns[job->loop];
    bool takes_turn = shards_is_write(job);
    pthread_mutex_lock(&turn->lock);
    bool is_to_wait = takes_turn
                          ? turn->waiting.n != 0 || (turn->n_under_way != 0 && turn->part != part)
                          : turn->n_writes[part] != 0;
    if (is_to_wait && jobs_reserve(&turn->waiting, 1)) {
        jobs_append(&turn->waiting, job);
        turn->n_writes[part] += takes_turn;
    } else {
        is_to_wait = false;
        turn->part = takes_turn ? part : turn->part;
        turn->n_under_way += takes_turn;
        job->after = takes_turn ? turn->last : 0;
    }
    pthread_mutex_unlock(&turn->lock);
    return !is_to_wait;
}

void turns_submit(struct cluster *cluster, const struct job *job)
{
    uint32_t part = shards_part_of(cluster, job->cmd->key);
    struct job turned = *job;
    bool may_go = !cluster->orders_all || take_turn(cluster, part, &turned);
    if (!may_go || worker_submit(cluster->shards[part].store, &turned, 1))
        return;
    bool was_write = shards_is_write(&turned);
    fail_unsent(cluster, &turned);
    if (was_write)
        turns_go_on(cluster, turned.loop, 0);
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
