#include "catching_up.h"

#include "worker.h"

#include <stdlib.h>

struct round;

/* The command of a partition. */
struct share {
    struct kv_cmd cmd;
    struct round *round;
};

struct round {
    struct kv_cmd *whole;
    _Atomic uint32_t n_left; /* partitions; and one for whoever submits it */
    _Atomic enum kv_status status;
    struct share shares[];
};

static struct share *share_of(struct kv_cmd *cmd)
{
    return (struct share *)(void *)cmd;
}

/* So many are done. Returns: whether no other is left: then the host's command is final, and the
 * round is gone. */
static bool end_some(struct round *round, uint32_t n, enum kv_status status)
{
    if (status != KV_OK)
        round->status = status;
    if (atomic_fetch_sub(&round->n_left, n) != n)
        return false;
    round->whole->status = round->status;
    free(round);
    return true;
}

static bool submit_share(const struct cluster *cluster, const struct job *job, struct round *round,
                         uint32_t part)
{
    struct job one = *job;
    struct share *share = &round->shares[part];
    *share = (struct share){.cmd = {.op = KV_OP_CATCH_UP, .is_deferred = true}, .round = round};
    one.cmd = &share->cmd;
    return worker_submit(cluster->shards[part].store, &one, 1);
}

void catching_up_submit(const struct cluster *cluster, const struct job *job)
{
    uint32_t n = cluster->n_shards, n_done = 1; /* this one */
    struct round *round = calloc(1, sizeof(*round) + n * sizeof(struct share));
    if (round == NULL) {
        job->cmd->is_deferred = false;
        job->cmd->status = KV_FULL;
        return;
    }
    round->whole = job->cmd;
    round->n_left = n + 1;
    round->status = KV_OK;
    for (uint32_t i = 0; i < n; i++)
        n_done += !submit_share(cluster, job, round, i);
    if (end_some(round, n_done, n_done == 1 ? KV_OK : KV_FULL))
        job->cmd->is_deferred = false;
}

void catching_up_take(const struct cluster *cluster, const struct job *job)
{
    struct round *round = share_of(job->cmd)->round;
    struct kv_cmd *whole = round->whole;
    if (end_some(round, 1, job->cmd->status))
        cluster->host->done(cluster->host, job->loop, &whole, 1);
}
