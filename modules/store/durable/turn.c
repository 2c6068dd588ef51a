#include "turn.h"

#include <stdlib.h>

enum {
    MOST_AT_ONCE = 1024 /* commands of several jobs in one call of host->done() */
};

void turn_init(struct turn *turn, const struct batch *empty)
{
    *turn = (struct turn){.batch = *empty};
    turn->end = &turn->first;
}

bool turn_is_empty(const struct turn *turn)
{
    return batch_is_empty(&turn->batch) && turn->first == NULL && turn->expiries == NULL;
}

void turn_add_commands(struct turn *turn, struct job *job)
{
    job->next = NULL;
    *turn->end = job;
    turn->end = &job->next;
}

void turn_add_expiry(struct turn *turn, struct job *job)
{
    job->next = turn->expiries;
    turn->expiries = job;
}

struct job *turn_take_commands(struct turn *turn)
{
    struct job *jobs = turn->first;
    turn->first = NULL;
    turn->end = &turn->first;
    return jobs;
}

struct job *turn_take_expiries(struct turn *turn)
{
    struct job *jobs = turn->expiries;
    turn->expiries = NULL;
    return jobs;
}

/* Returns to the host, in one call, the commands of the first job, and of as many other jobs of its
 * loop as fit. Returns: the remaining jobs, in order. */
static struct job *give_back_together(const struct kv_store_host *host, struct job *first)
{
    struct kv_cmd *cmds[MOST_AT_ONCE];
    uint32_t loop = first->loop;
    struct job *others = NULL;
    struct job **end = &others;
    size_t n = 0;
    for (struct job *job = first, *next; job != NULL; job = next) {
        next = job->next;
        if (job->loop == loop && n + job->n_cmds <= MOST_AT_ONCE) {
            memcpy(cmds + n, job->cmds, job->n_cmds * sizeof(cmds[0]));
            n += job->n_cmds;
            free(job);
        } else {
            *end = job;
            end = &job->next;
        }
    }
    *end = NULL;
    host->done(host, loop, cmds, n);
    return others;
}

void turn_give_back(const struct kv_store_host *host, struct job *job)
{
    while (job != NULL) {
        if (job->n_cmds <= MOST_AT_ONCE) {
            job = give_back_together(host, job);
            continue;
        }
        struct job *next = job->next;
        host->done(host, job->loop, job->cmds, job->n_cmds);
        free(job);
        job = next;
    }
}
