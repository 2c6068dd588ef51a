#include "waiting.h"

#include "answers.h"
#include "catch_ups.h"
#include "commands.h"
#include "expiring.h"

enum {
    MOST_SPARE = 1024, /* jobs that the inbox keeps room for */
    AHEAD = 6,         /* commands that are being fetched into the cache */
};

struct lane *waiting_lane(struct kv_store *store, const struct job *job)
{
    return command_is_bulky(job) ? &store->bulk : &store->lane;
}

void waiting_add(struct kv_store *store, struct job *job)
{
    struct jobs *waiting = &waiting_lane(store, job)->waiting;
    if (jobs_reserve(waiting, 1))
        jobs_append(waiting, job);
    else
        answers_fail(store, job, KV_FULL);
}

static void take_job(struct kv_store *store, struct job *job)
{
    if (job->kind == JOB_EXPIRE)
        expiring_take(store, job);
    else if (job->kind != JOB_COMMAND || job->cmd->op != KV_OP_CATCH_UP)
        waiting_add(store, job);
    else if (!catch_ups_take(store, job))
        answers_fail(store, job, KV_FULL);
}

/* The commands are still in the cache of another core. */
static void fetch_ahead(const struct jobs *inbox)
{
    if (inbox->n > AHEAD && jobs_at(inbox, AHEAD)->kind == JOB_COMMAND)
        __builtin_prefetch(jobs_at(inbox, AHEAD)->cmd);
}

void waiting_take_inbox(struct kv_store *store)
{
    pthread_mutex_lock(&store->lock);
    struct jobs inbox = store->inbox;
    store->inbox = store->spare;
    pthread_mutex_unlock(&store->lock);
    while (inbox.n != 0) {
        struct job job = jobs_take_first(&inbox);
        fetch_ahead(&inbox);
        take_job(store, &job);
    }
    if (inbox.capacity > MOST_SPARE)
        jobs_clear(&inbox);
    store->spare = inbox;
}

/* ---- those that have waited for too long ---- */

static bool is_overdue(const struct kv_store *store, const struct jobs *jobs)
{
    return jobs->n != 0 &&
           link_clock_ms() - jobs_at(jobs, 0)->since_ms > store->settings.timeout_ms;
}

void waiting_fail_overdue(struct kv_store *store, struct jobs *jobs)
{
    while (is_overdue(store, jobs)) {
        struct job job = jobs_take_first(jobs);
        answers_fail(store, &job, KV_UNAVAILABLE);
    }
}

void waiting_fail_all_overdue(struct kv_store *store)
{
    waiting_fail_overdue(store, &store->lane.waiting);
    waiting_fail_overdue(store, &store->bulk.waiting);
    waiting_fail_overdue(store, &store->catch_ups.waiting);
}

void waiting_fail_overdue_held(struct kv_store *store)
{
    while (is_overdue(store, &store->held)) {
        struct job job = jobs_take_first(&store->held);
        answers_drop_result(&job);
        answers_fail(store, &job, command_is_read(&job) ? KV_UNAVAILABLE : KV_UNKNOWN);
    }
}

int waiting_begin_page(struct attempt *attempt)
{
    struct kv_store *store = attempt->store;
    if (store->is_closing)
        return kv_error_set(attempt->reterr, "the server ends");
    waiting_take_inbox(store);
    waiting_fail_all_overdue(store);
    answers_release_held(store);
    waiting_fail_overdue_held(store);
    answers_flush(store);
    attempt->until_ms = link_clock_ms() + store->settings.timeout_ms;
    return 0;
}
