#include "readers.h"

#include <errno.h>
#include <stdlib.h>

#include "reader.h"
#include "scan.h"

static void scan(const struct base *base, struct job *job)
{
    scan_fill(base, job->scan);
    base->host->scan_done(base->host, job->loop, job->scan);
    free(job);
}

static void read_log(struct readers *readers, struct job *job)
{
    const struct kv_store_host *host = readers->base->host;
    change_log_fill(readers->log, job->page);
    host->log_done(host, job->loop, job->page);
    free(job);
}

/* Answers the commands it can, and passes the others to the writer. */
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
        else if (job->kind == JOB_LOG)
            read_log(readers, job);
        else
            answer(readers, job);
    }
    return NULL;
}

void readers_init(struct readers *readers, const struct base *base, struct change_log *log,
                  struct queue *writes)
{
    *readers = (struct readers){.base = base, .log = log, .writes = writes};
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
        fault = thread_start(&readers->threads[readers->n], "store-reader", run, readers);
        readers->n += fault == 0 ? 1 : 0;
    }
    return fault;
}

void readers_stop(struct readers *readers)
{
    queue_close(&readers->jobs);
    while (readers->n != 0)
        thread_join(&readers->threads[--readers->n]);
}
