#include "learner.h"

#include <stdlib.h>

void learner_init(struct learner *learner, const struct base *base, struct stager *stager)
{
    *learner = (struct learner){.base = base, .stager = stager};
    queue_init(&learner->jobs);
    under_way_init(&learner->under_way);
}

void learner_fini(struct learner *learner)
{
    queue_fini(&learner->jobs);
    under_way_fini(&learner->under_way);
}

/* Reads the state, which stays in memory for the writer if it is short. */
static bool has_long_value(struct learner *learner, const struct kv_cmd *cmd)
{
    bool is_unknown;
    enum kv_status fault; /* not used: the writer runs into it again */
    struct entry *held = states_hold(learner->base->states, cmd->key, cmd->hash, &is_unknown);
    if (held == NULL)
        return false;
    if (is_unknown)
        held = held_learn(learner->base, held, &fault);
    bool is_long = held->value_len > KV_LONG_VALUE;
    states_let_go(learner->base->states, held);
    entry_unref(held);
    return is_long;
}

static bool is_for_stager(struct learner *learner, const struct kv_cmd *cmd)
{
    return stager_has(learner->stager, cmd->hash) || stager_is_for(cmd) ||
           (cmd->op == KV_OP_TOUCH && has_long_value(learner, cmd));
}

static void give_on(struct learner *learner, uint32_t loop, struct kv_cmd *cmd)
{
    uint64_t hash = cmd->hash;
    struct job *job = job_create(JOB_COMMANDS, loop, 1);
    if (job == NULL) {
        stager_give_back(learner->stager, loop, cmd, cmd->op == KV_OP_GET ? KV_IO : KV_FULL);
    } else {
        job->cmds[job->n_cmds++] = cmd;
        if (is_for_stager(learner, cmd))
            stager_push(learner->stager, job);
        else
            queue_push(learner->stager->writes, job);
    }
    under_way_end(&learner->under_way, hash); /* the stager or the writer has it by now */
}

static void *run(void *argument)
{
    struct learner *learner = argument;
    for (struct job *job; (job = queue_take(&learner->jobs)) != NULL;) {
        for (size_t i = 0; i < job->n_cmds; i++)
            give_on(learner, job->loop, job->cmds[i]);
        free(job);
    }
    return NULL;
}

int learner_start(struct learner *learner)
{
    return thread_start(&learner->thread, "store-learner", run, learner);
}

void learner_stop(struct learner *learner)
{
    queue_close(&learner->jobs);
    thread_join(&learner->thread);
}

bool learner_has(struct learner *learner, uint64_t hash)
{
    return under_way_has(&learner->under_way, hash);
}

void learner_push(struct learner *learner, struct job *job)
{
    for (size_t i = 0; i < job->n_cmds; i++)
        under_way_begin(&learner->under_way, job->cmds[i]->hash);
    queue_push(&learner->jobs, job);
}
