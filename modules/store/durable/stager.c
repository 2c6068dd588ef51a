#include "stager.h"

#include <stdlib.h>

enum {
    FIRST_CAPACITY = 16
};

void stager_init(struct stager *stager, const struct base *base, struct value_files *values,
                 struct queue *writes, size_t most_bytes)
{
    *stager =
        (struct stager){.base = base, .values = values, .writes = writes, .most_bytes = most_bytes};
    queue_init(&stager->jobs);
    pthread_mutex_init(&stager->lock, NULL);
}

void stager_fini(struct stager *stager)
{
    queue_fini(&stager->jobs);
    pthread_mutex_destroy(&stager->lock);
    free(stager->hashes);
}

/* ---- commands in progress ---- */

/* Under the lock. Returns: false if memory runs out. */
static bool has_room(struct stager *stager)
{
    if (stager->n_hashes < stager->capacity)
        return true;
    size_t capacity = stager->capacity == 0 ? FIRST_CAPACITY : 2 * stager->capacity;
    uint64_t *hashes = reallocarray(stager->hashes, capacity, sizeof(*hashes));
    if (hashes == NULL)
        return false;
    stager->hashes = hashes;
    stager->capacity = capacity;
    return true;
}

static void begin(struct stager *stager, uint64_t hash)
{
    pthread_mutex_lock(&stager->lock);
    if (has_room(stager))
        stager->hashes[stager->n_hashes++] = hash;
    atomic_fetch_add(&stager->n, 1);
    pthread_mutex_unlock(&stager->lock);
}

/* Under the lock. Returns: n_hashes if it is not there. */
static size_t find(const struct stager *stager, uint64_t hash)
{
    size_t at = 0;
    while (at < stager->n_hashes && stager->hashes[at] != hash)
        at++;
    return at;
}

static void end(struct stager *stager, uint64_t hash)
{
    pthread_mutex_lock(&stager->lock);
    size_t at = find(stager, hash);
    if (at < stager->n_hashes)
        stager->hashes[at] = stager->hashes[--stager->n_hashes];
    atomic_fetch_sub(&stager->n, 1);
    pthread_mutex_unlock(&stager->lock);
}

bool stager_has(struct stager *stager, uint64_t hash)
{
    if (atomic_load(&stager->n) == 0)
        return false;
    pthread_mutex_lock(&stager->lock);
    bool has = atomic_load(&stager->n) != stager->n_hashes || find(stager, hash) < stager->n_hashes;
    pthread_mutex_unlock(&stager->lock);
    return has;
}

/* ---- the thread ---- */

static bool is_to_be_staged(struct stager *stager, const struct kv_cmd *cmd)
{
    return cmd->op == KV_OP_SET && cmd->value.len > KV_LONG_VALUE &&
           cmd->key.len + cmd->value.len <= stager->base->ops->max_row &&
           !atomic_load(&stager->is_off);
}

/* Holds the key, whose present state may be long, too, so that the writer need not read it.
 * Returns: false if memory runs out. */
static bool hold(struct stager *stager, const struct kv_cmd *cmd)
{
    bool is_unknown;
    enum kv_status fault;
    struct entry *held = states_hold(stager->base->states, cmd->key, cmd->hash, &is_unknown);
    if (held == NULL)
        return false;
    if (is_unknown)
        held = held_learn(stager->base, held, &fault); /* the writer reports a fault */
    entry_unref(held);
    return true;
}

/* Returns: KV_OK, or why the value cannot be written. */
static enum kv_status stage(struct stager *stager, const struct kv_cmd *cmd, struct entry **ret)
{
    value_files_await_room(stager->values, stager->most_bytes);
    struct entry *entry = entry_create(cmd->key, cmd->hash, cmd->value, 0, cmd->deadline_ms);
    enum kv_engine_status status =
        entry == NULL ? KV_ENGINE_FULL : value_file_write(stager->values, cmd->value, &entry->file);
    if (status == KV_ENGINE_OK && !hold(stager, cmd))
        status = KV_ENGINE_FULL;
    if (status == KV_ENGINE_OK) {
        *ret = entry;
        return KV_OK;
    }
    entry_unref(entry);
    return status == KV_ENGINE_FULL ? KV_FULL : KV_IO;
}

static void give_back(struct stager *stager, uint32_t loop, struct kv_cmd *cmd,
                      enum kv_status status)
{
    cmd->status = status;
    cmd->revision = 0;
    stager->base->host->done(stager->base->host, loop, &cmd, 1);
}

/* Each command is passed on separately, so that a short one waits only as long as its key
 * requires. */
static void give_on(struct stager *stager, uint32_t loop, struct kv_cmd *cmd)
{
    uint64_t hash = cmd->hash;
    struct entry *prepared = NULL;
    struct job *job = job_create(JOB_COMMANDS, loop, 1);
    enum kv_status status = job == NULL ? KV_FULL : KV_OK;
    if (status == KV_OK && is_to_be_staged(stager, cmd))
        status = stage(stager, cmd, &prepared);
    if (status == KV_OK) {
        job->cmds[job->n_cmds++] = cmd;
        job->prepared = prepared;
        queue_push(stager->writes, job);
    } else {
        free(job);
        give_back(stager, loop, cmd, cmd->op == KV_OP_GET ? KV_IO : status);
    }
    end(stager, hash);
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

void stager_push(struct stager *stager, struct job *job)
{
    for (size_t i = 0; i < job->n_cmds; i++)
        begin(stager, job->cmds[i]->hash);
    queue_push(&stager->jobs, job);
}

void stager_allow(struct stager *stager, bool is_allowed)
{
    if (atomic_load(&stager->is_off) == !is_allowed)
        return;
    atomic_store(&stager->is_off, !is_allowed);
    value_files_release(stager->values, !is_allowed);
}
