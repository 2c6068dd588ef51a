#include "answers.h"

#include "catch_ups.h"
#include "record.h"
#include "replies.h"

static size_t count_of_one_loop(const struct outbox *outbox, size_t first,
                                struct kv_cmd *cmds[OUTBOX])
{
    const struct job *jobs = outbox->jobs + first;
    size_t n = 0;
    while (first + n < outbox->n && jobs[n].kind == JOB_COMMAND && jobs[n].loop == jobs[0].loop) {
        cmds[n] = jobs[n].cmd;
        n++;
    }
    return n;
}

void answers_flush(struct kv_store *store)
{
    struct outbox *outbox = &store->outbox;
    struct kv_cmd *cmds[OUTBOX];
    for (size_t i = 0; i < outbox->n;) {
        size_t n = count_of_one_loop(outbox, i, cmds);
        if (n != 0)
            store->host->done(store->host, outbox->jobs[i].loop, cmds, n);
        else
            store->host->scan_done(store->host, outbox->jobs[i].loop, outbox->jobs[i].scan);
        i += n != 0 ? n : 1;
    }
    outbox->n = 0;
}

static void give_back(struct kv_store *store, const struct job *job)
{
    if (job->kind != JOB_COMMAND && job->kind != JOB_SCAN)
        return;
    if (store->outbox.n == OUTBOX)
        answers_flush(store);
    store->outbox.jobs[store->outbox.n++] = *job;
}

static void deliver(struct kv_store *store, const struct job *job)
{
    if (job->kind == JOB_EXPIRE)
        store->host->wake_at(store->host, PART, job->deadline_ms);
    else
        give_back(store, job);
}

static void deliver_in_time(struct kv_store *store, const struct job *job)
{
    bool is_early = !store->is_read_only && job->revision > store->position;
    if (is_early && jobs_reserve(&store->held, 1))
        jobs_append(&store->held, job);
    else
        deliver(store, job);
}

static void share(struct kv_store *store, const struct job *request)
{
    struct job job;
    while (catch_ups_share(store, request, &job))
        deliver_in_time(store, &job);
}

void answers_fail(struct kv_store *store, struct job *job, enum kv_status status)
{
    reply_fail(store, job, status);
    if (catch_ups_is_request(store, job))
        share(store, job);
    else
        give_back(store, job);
}

void answers_give_back_in_time(struct kv_store *store, const struct job *job)
{
    if (catch_ups_is_request(store, job))
        share(store, job);
    else
        deliver_in_time(store, job);
}

void answers_release_held(struct kv_store *store)
{
    for (size_t n = store->held.n; n > 0; n--) {
        struct job job = jobs_take_first(&store->held);
        if (job.revision > store->position)
            jobs_append(&store->held, &job);
        else
            deliver(store, &job);
    }
}

void answers_drop_result(struct job *job)
{
    bool has_item =
        job->kind == JOB_COMMAND && job->cmd->op == KV_OP_GET && job->cmd->status == KV_OK;
    bool has_page = job->kind == JOB_SCAN && job->scan->status == KV_OK;
    if (has_item) {
        record_unref(job->cmd->item.ref);
        job->cmd->item = (struct kv_item){0};
    }
    for (uint32_t i = 0; has_page && i < job->scan->n; i++)
        record_unref(job->scan->entries[i].item.ref);
    if (has_page) {
        record_unref(job->scan->next_ref);
        job->scan->n = 0;
        job->scan->next = (struct kv_slice){0};
        job->scan->next_ref = NULL;
    }
}
