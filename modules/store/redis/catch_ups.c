#include "catch_ups.h"

bool catch_ups_take(struct kv_store *store, const struct job *job)
{
    if (!jobs_reserve(&store->catch_ups.waiting, 1))
        return false;
    jobs_append(&store->catch_ups.waiting, job);
    return true;
}

bool catch_ups_are_to_ask(struct kv_store *store, struct job *ret_request)
{
    struct catch_ups *catch_ups = &store->catch_ups;
    if (catch_ups->asked.n != 0 || catch_ups->waiting.n == 0)
        return false;
    struct jobs empty = catch_ups->asked;
    catch_ups->asked = catch_ups->waiting;
    catch_ups->waiting = empty;
    catch_ups->request = (struct kv_cmd){.op = KV_OP_CATCH_UP};
    *ret_request = (struct job){.kind = JOB_COMMAND,
                                .cmd = &catch_ups->request,
                                .since_ms = jobs_at(&catch_ups->asked, 0)->since_ms};
    return true;
}

bool catch_ups_is_request(const struct kv_store *store, const struct job *job)
{
    return job->kind == JOB_COMMAND && job->cmd == &store->catch_ups.request;
}

bool catch_ups_share(struct kv_store *store, const struct job *request, struct job *ret_job)
{
    if (store->catch_ups.asked.n == 0)
        return false;
    *ret_job = jobs_take_first(&store->catch_ups.asked);
    ret_job->cmd->status = request->cmd->status;
    ret_job->cmd->revision = ret_job->revision = request->revision;
    return true;
}

bool catch_ups_take_back(struct kv_store *store)
{
    struct catch_ups *catch_ups = &store->catch_ups;
    if (!jobs_reserve(&catch_ups->waiting, catch_ups->asked.n))
        return false;
    while (catch_ups->asked.n != 0) {
        struct job job = jobs_take_last(&catch_ups->asked);
        jobs_prepend(&catch_ups->waiting, &job);
    }
    return true;
}

void catch_ups_clear(struct kv_store *store)
{
    jobs_clear(&store->catch_ups.waiting);
    jobs_clear(&store->catch_ups.asked);
}
