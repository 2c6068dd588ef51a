#include "expiring.h"

#include "clock.h"

#include <limits.h>

enum {
    LEAST_PAUSE_MS = 10,
    SPREAD_MS = 11, /* so that the others do not all call at once when the first one is gone */
};

void expiring_take(struct kv_store *store, const struct job *job)
{
    struct expiring *expiring = &store->expiring;
    if (!expiring->is_asked)
        expiring->job = *job;
    expiring->is_asked = true;
}

/* A server that has just been told of another's expiry need not ask for the next deadline yet: the
 * other one knows it. */
static int64_t call_at_ms(const struct kv_store *store)
{
    const struct expiring *expiring = &store->expiring;
    int64_t pause_ms = LEAST_PAUSE_MS + (int64_t)(store->origin / 2 % SPREAD_MS);
    int64_t since_ms = expiring->job.since_ms;
    if (expiring->first == 0 || expiring->first == store->origin)
        return since_ms;
    return (since_ms > expiring->told_ms ? since_ms : expiring->told_ms) + pause_ms;
}

bool expiring_is_to_call(struct kv_store *store, struct job *ret_job)
{
    struct expiring *expiring = &store->expiring;
    if (!expiring->is_asked || link_clock_ms() < call_at_ms(store))
        return false;
    *ret_job = expiring->job;
    expiring->is_asked = false;
    return true;
}

int expiring_wait_ms(const struct kv_store *store)
{
    int64_t wait_ms = call_at_ms(store) - link_clock_ms();
    if (!store->expiring.is_asked)
        return INT_MAX;
    return wait_ms < 1 ? 1 : (int)wait_ms;
}

/* If Redis's clock was set back, the deadline is known to have passed, but has not. */
int64_t expiring_next_ms(const struct job *job, int64_t n_due, int64_t deadline_ms)
{
    bool is_early = n_due == 0 && deadline_ms <= job->sent_at_ms;
    return is_early ? job->sent_at_ms + 1 : deadline_ms;
}

void expiring_note(struct kv_store *store, const struct event *event)
{
    if (event->op != EVENT_EXPIRE)
        return;
    store->expiring.first = event->token.origin;
    store->expiring.told_ms = link_clock_ms();
}
