/*
 * Reading: on the loop where everything is in memory, on a thread of its own where the engine may
 * have to wait for the disk.
 */
#include "reader.h"

#include <errno.h>
#include <stdlib.h>

#include "scan.h"

enum {
    LONGEST_ON_LOOP = 64 << 10, /* bytes of a row that a loop copies itself */
    MOST_LOOKS = 8 /* at a key whose shard is written to all the time; then the writer answers */
};

struct reading {
    const struct base *base;
    const struct kv_cmd *cmd;
    bool may_wait;
    struct entry *entry;
    bool is_damaged;
    bool is_left;  /* too long to be copied on a loop */
    size_t longer; /* the length of one that the command does not want; otherwise 0 */
};

static void take_record(void *context, struct kv_slice row)
{
    struct reading *reading = context;
    reading->is_left = !reading->may_wait && row.len > LONGEST_ON_LOOP;
    if (reading->is_left)
        return;
    if (reading->cmd->most_bytes != 0 && row.len > reading->cmd->most_bytes) {
        reading->longer = row.len;
        return;
    }
    reading->entry = record_read(reading->cmd->key, reading->cmd->hash, row, reading->base->clock,
                                 &reading->is_damaged);
}

static enum glance finish(struct kv_cmd *cmd, enum glance glance, struct entry *entry)
{
    if (glance == GLANCE_FOUND) {
        cmd->item = entry_item(entry);
        cmd->status = KV_OK;
        cmd->revision = entry->revision;
    } else if (glance == GLANCE_MISSING) {
        cmd->status = KV_MISSING;
        cmd->revision = 0;
    }
    return glance;
}

static enum glance fail(struct kv_cmd *cmd)
{
    cmd->status = KV_IO;
    cmd->revision = 0;
    return GLANCE_MISSING;
}

static enum glance leave_longer(struct kv_cmd *cmd, size_t len)
{
    cmd->most_bytes = len;
    cmd->status = KV_LONGER;
    cmd->revision = 0;
    return GLANCE_MISSING;
}

/* The state was not in memory. */
static enum glance read_engine(const struct base *base, struct kv_cmd *cmd, bool may_wait,
                               uint64_t generation, struct entry **ret)
{
    struct reading reading = {.base = base, .cmd = cmd, .may_wait = may_wait};
    switch (base->ops->get(base->engine, KV_ENGINE_RECORDS, cmd->key,
                           may_wait ? KV_ENGINE_ANYWHERE : KV_ENGINE_IN_MEMORY, take_record,
                           &reading)) {
    case KV_ENGINE_WAITING:
        return GLANCE_UNKNOWN;
    case KV_ENGINE_OK:
        if (reading.is_left)
            return GLANCE_UNKNOWN;
        if (reading.longer != 0)
            return leave_longer(cmd, reading.longer);
        if (reading.entry == NULL)
            return fail(cmd);
        break;
    case KV_ENGINE_ABSENT:
        break;
    default:
        return fail(cmd);
    }
    return states_settle(base->states, cmd->hash, generation, reading.entry, ret);
}

enum glance reader_get(const struct base *base, struct kv_cmd *cmd, bool may_wait)
{
    struct entry *entry = NULL;
    cmd->status = KV_PENDING;
    for (int looks = 0; looks < MOST_LOOKS; looks++) {
        uint64_t generation;
        enum glance glance = states_look(base->states, cmd->key, cmd->hash, &entry, &generation);
        if (glance == GLANCE_UNKNOWN)
            glance = read_engine(base, cmd, may_wait, generation, &entry);
        if (cmd->status != KV_PENDING)
            return GLANCE_MISSING; /* it has failed, or is longer */
        if (glance != GLANCE_STALE)
            return finish(cmd, glance, entry);
    }
    return GLANCE_HELD;
}

/* ---- the threads ---- */

static void scan(const struct base *base, struct job *job)
{
    scan_fill(base, job->scan);
    base->host->scan_done(base->host, job->loop, job->scan);
    free(job);
}

/* Answers what it can; what only the writer can answer goes on to it. */
static void answer(struct readers *readers, struct job *job)
{
    const struct base *base = readers->base;
    size_t n = job->n_cmds;
    job->n_cmds = 0;
    for (size_t i = 0; i < n; i++) {
        struct kv_cmd *cmd = job->cmds[i];
        if (reader_get(base, cmd, true) != GLANCE_HELD)
            continue;
        job->cmds[i] = job->cmds[job->n_cmds];
        job->cmds[job->n_cmds++] = cmd;
    }
    if (n != job->n_cmds)
        base->host->done(base->host, job->loop, job->cmds + job->n_cmds, n - job->n_cmds);
    if (job->n_cmds != 0)
        queue_push(readers->writes, job);
    else
        free(job);
}

static void *run(void *argument)
{
    struct readers *readers = argument;
    for (struct job *job; (job = queue_take(&readers->jobs)) != NULL;) {
        if (job->kind == JOB_SCAN)
            scan(readers->base, job);
        else
            answer(readers, job);
    }
    return NULL;
}

void readers_init(struct readers *readers, const struct base *base, struct queue *writes)
{
    *readers = (struct readers){.base = base, .writes = writes};
    queue_init(&readers->jobs);
}

void readers_fini(struct readers *readers)
{
    queue_fini(&readers->jobs);
    free(readers->threads);
}

int readers_start(struct readers *readers, uint32_t n)
{
    int fault = 0;
    readers->threads = calloc(n, sizeof(readers->threads[0]));
    if (readers->threads == NULL)
        return ENOMEM;
    while (readers->n < n && fault == 0) {
        fault = pthread_create(&readers->threads[readers->n], NULL, run, readers);
        if (fault == 0)
            pthread_setname_np(readers->threads[readers->n++], "store-reader");
    }
    return fault;
}

void readers_stop(struct readers *readers)
{
    queue_close(&readers->jobs);
    while (readers->n != 0)
        pthread_join(readers->threads[--readers->n], NULL);
}
