#include "stager.h"

#include <stdlib.h>

void stager_init(struct stager *stager, const struct base *base, struct value_files *values,
                 struct queue *writes, size_t most_bytes)
{
    *stager =
        (struct stager){.base = base, .values = values, .writes = writes, .most_bytes = most_bytes};
    queue_init(&stager->jobs);
    under_way_init(&stager->under_way);
}

void stager_fini(struct stager *stager)
{
    queue_fini(&stager->jobs);
    under_way_fini(&stager->under_way);
}

/* ---- the thread ---- */

/* Gets hold of the key, whose present state may be long, too, so that the writer need not read it.
 * Returns: the state; NULL where there is no memory. Owns: the caller, one reference. */
static struct entry *hold(struct stager *stager, const struct kv_cmd *cmd)
{
    bool is_unknown;
    enum kv_status fault;
    struct entry *held = states_hold(stager->base->states, cmd->key, cmd->hash, &is_unknown);
    if (held != NULL && is_unknown)
        held = held_learn(stager->base, held, &fault); /* a fault shows in the writer */
    return held;
}

/* Makes the new state of the key of a SET or TOUCH, with its value in a file.
 * Returns: KV_OK, or why the value cannot be written. */
static enum kv_status stage(struct stager *stager, const struct kv_cmd *cmd, struct kv_slice value,
                            uint64_t revision, struct entry **ret)
{
    value_files_await_room(stager->values, stager->most_bytes);
    struct entry *entry = entry_create(cmd->key, cmd->hash, value, revision, cmd->deadline_ms);
    enum kv_engine_status status =
        entry == NULL ? KV_ENGINE_FULL : value_file_write(stager->values, value, &entry->file);
    if (status == KV_ENGINE_OK) {
        *ret = entry;
        return KV_OK;
    }
    entry_unref(entry);
    return status == KV_ENGINE_FULL ? KV_FULL : KV_IO;
}

static enum kv_status stage_set(struct stager *stager, const struct kv_cmd *cmd, struct entry **ret)
{
    if (cmd->key.len + cmd->value.len > stager->base->ops->max_row)
        return KV_OK; /* the writer refuses it */
    enum kv_status status = stage(stager, cmd, cmd->value, 0, ret);
    struct entry *held = status == KV_OK ? hold(stager, cmd) : NULL;
    if (status == KV_OK && held == NULL) {
        entry_unref(*ret);
        *ret = NULL;
        return KV_FULL;
    }
    entry_unref(held);
    return status;
}

/* Makes the state with another deadline, if its value is long. */
static enum kv_status stage_touch(struct stager *stager, const struct kv_cmd *cmd,
                                  struct entry **ret)
{
    struct entry *held = hold(stager, cmd);
    if (held == NULL)
        return KV_FULL;
    enum kv_status status = KV_OK;
    if (held->value_len > KV_LONG_VALUE && held->deadline_ms != cmd->deadline_ms &&
        kv_cmd_holds(cmd, true, held->revision))
        status = stage(stager, cmd, entry_value(held), held->revision, ret);
    if (*ret == NULL)
        states_let_go(stager->base->states, held); /* as the batch does with what is staged */
    entry_unref(held);
    return status;
}

static enum kv_status stage_command(struct stager *stager, const struct kv_cmd *cmd,
                                    struct entry **ret)
{
    if (atomic_load(&stager->is_off))
        return KV_OK;
    if (stager_is_for(cmd))
        return stage_set(stager, cmd, ret);
    return cmd->op == KV_OP_TOUCH ? stage_touch(stager, cmd, ret) : KV_OK;
}

void stager_give_back(struct stager *stager, uint32_t loop, struct kv_cmd *cmd,
                      enum kv_status status)
{
    cmd->status = status;
    cmd->revision = 0;
    stager->base->host->done(stager->base->host, loop, &cmd, 1);
}

/* Each command goes by itself, so that short ones wait for no more than their key asks for. */
static void give_on(struct stager *stager, uint32_t loop, struct kv_cmd *cmd)
{
    uint64_t hash = cmd->hash;
    struct entry *prepared = NULL;
    struct job *job = job_create(JOB_COMMANDS, loop, 1);
    enum kv_status status = job == NULL ? KV_FULL : KV_OK;
    if (status == KV_OK)
        status = stage_command(stager, cmd, &prepared);
    if (status == KV_OK) {
        job->cmds[job->n_cmds++] = cmd;
        job->prepared = prepared;
        queue_push(stager->writes, job);
    } else {
        free(job);
        stager_give_back(stager, loop, cmd, cmd->op == KV_OP_GET ? KV_IO : status);
    }
    under_way_end(&stager->under_way, hash);
}

static void *stager_run(void *argument)
{
    struct stager *stager = argument;
    for (struct job *job; (job = queue_take(&stager->jobs)) != NULL;) {
        for (size_t i = 0; i < job->n_cmds; i++)
            give_on(stager, job->loop, job->cmds[i]);
        free(job);
    }
    return NULL;
}

int stager_start(struct stager *stager)
{
    return thread_start(&stager->thread, "store-stager", stager_run, stager);
}

void stager_stop(struct stager *stager)
{
    queue_close(&stager->jobs);
    thread_join(&stager->thread);
}

/* ---- for the loops and the writer ---- */

bool stager_has(struct stager *stager, uint64_t hash)
{
    return under_way_has(&stager->under_way, hash);
}

void stager_push(struct stager *stager, struct job *job)
{
    for (size_t i = 0; i < job->n_cmds; i++)
        under_way_begin(&stager->under_way, job->cmds[i]->hash);
    queue_push(&stager->jobs, job);
}

void stager_allow(struct stager *stager, bool is_allowed)
{
    if (atomic_load(&stager->is_off) == !is_allowed)
        return;
    atomic_store(&stager->is_off, !is_allowed);
    value_files_release(stager->values, !is_allowed);
}
