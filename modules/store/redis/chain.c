#include "chain.h"

#include "clock.h"
#include "expiring.h"
#include "fetch.h"
#include "record.h"
#include "report.h"

void chain_begin(struct kv_store *store, uint64_t revision)
{
    store->position = revision;
    if (store->newest < revision)
        store->newest = revision;
}

void chain_jump(struct kv_store *store, uint64_t revision)
{
    store->host->base.log(&store->host->base, KV_LOG_ERROR,
                          "changes between revision %ju and %ju can no longer be read from Redis: "
                          "subscribers are shown the present state",
                          (uintmax_t)store->position, (uintmax_t)revision);
    store->n_resets++;
    chain_begin(store, revision);
    store->newest++; /* what was told before is told to nobody again */
    store->host->resync(store->host, PART);
}

void chain_pass(struct kv_store *store, int64_t us)
{
    uint64_t revision = (uint64_t)us - 1;
    report_whole(store);
    raise_upto(store, revision);
    if (store->neighbours != NULL)
        store->neighbours->passed(store->context, revision);
}

/* ---- values that were left out ---- */

static const struct kv_cmd *find_command(const struct jobs *jobs, uint64_t number)
{
    for (size_t i = 0; i < jobs->n; i++) {
        const struct job *job = jobs_at(jobs, i);
        if (job->kind == JOB_COMMAND && job->number == number)
            return job->cmd;
    }
    return NULL;
}

/* Returns: the command of this store that caused it, while it is not given back; or NULL. Redis may
 * answer it before the change is pushed. */
static const struct kv_cmd *find_cause(const struct kv_store *store, struct token token)
{
    if (token.origin != store->origin)
        return NULL;
    const struct kv_cmd *cause = find_command(&store->lane.sent, token.number);
    return cause != NULL ? cause : find_command(&store->held, token.number);
}

/* Returns: 1; 0 where it has been replaced since: that will be told; -1 where it is not known. */
static int complete(struct kv_store *store, struct event *event)
{
    struct event_state state;
    struct kv_slice record;
    if (!event->after.is_left_out)
        return 1;
    const struct kv_cmd *cause = find_cause(store, event->token);
    if (cause != NULL) {
        event->after.value = cause->value;
        return 1;
    }
    if (fetch_record(store, event->key, &record) != 0)
        return -1;
    if (!event_read_record(record, &state) || state.revision != event->revision)
        return 0;
    event->after.value = state.value;
    return 1;
}

/* ---- changes ---- */

static struct kv_item make_item(const struct kv_store *store, const struct event_state *state,
                                struct record *record)
{
    if (state->revision == 0)
        return (struct kv_item){0};
    return (struct kv_item){
        .value = record_value(record),
        .revision = state->revision,
        .deadline_ms = clock_to_host(store, state->deadline),
        .ref = record,
    };
}

static enum kv_reason reason_of(enum event_op op)
{
    return op == EVENT_SET      ? KV_REASON_SET
           : op == EVENT_DELETE ? KV_REASON_DELETE
                                : KV_REASON_EXPIRE;
}

static struct kv_change change_of(const struct kv_store *store, const struct event *event,
                                  struct record *before, struct record *after)
{
    struct kv_change change = {
        .reason = reason_of(event->op),
        .revision = event->revision,
        .key = record_key(after != NULL ? after : before),
        .before = make_item(store, &event->before, before),
        .after = make_item(store, &event->after, after),
    };
    change.hash = store->host->hash(store->host, change.key);
    return change;
}

static int make_change(struct kv_store *store, struct event *event,
                       void (*pass_on)(struct kv_store *store, const struct event *event,
                                       const struct kv_change *change))
{
    struct record *before = NULL, *after = NULL;
    bool is_made = true;
    int is_whole = complete(store, event);
    if (is_whole != 1)
        return is_whole;
    if (event->before.revision == 0 && event->after.revision == 0)
        return 0; /* somebody else has taken the record away: there is nothing to tell */
    if (event->before.revision != 0)
        is_made = (before = record_create(event->key, event->before.value)) != NULL;
    if (event->after.revision != 0 && is_made)
        is_made = (after = record_create(event->key, event->after.value)) != NULL;
    if (is_made) {
        struct kv_change change = change_of(store, event, before, after);
        pass_on(store, event, &change);
    }
    record_unref(before);
    record_unref(after);
    return is_made ? 0 : -1;
}

int chain_make_change(struct kv_store *store, struct event *event,
                      void (*pass_on)(struct kv_store *store, const struct event *event,
                                      const struct kv_change *change))
{
    int result = make_change(store, event, pass_on);
    if (event->after.is_left_out)
        fetch_release(store);
    return result;
}

static void take_deadline(struct kv_store *store, const struct event *event)
{
    store->host->wake_at(store->host, PART, clock_latest_to_host(store, event->deadline));
    store->host->touched(store->host, PART, event->key, event->revision,
                         clock_to_host(store, event->deadline));
}

static void tell(struct kv_store *store, const struct event *event, const struct kv_change *change)
{
    if (store->newest < event->revision)
        store->newest = event->revision;
    if (change->after.revision != 0 && change->after.deadline_ms != KV_NEVER)
        store->host->wake_at(store->host, PART, clock_latest_to_host(store, event->after.deadline));
    if (event->token.origin == store->origin)
        store->host->changed(store->host, PART, change);
    else
        store->host->changed_elsewhere(store->host, PART, change);
}

static int take_event(struct kv_store *store, struct event *event)
{
    if (event->op == EVENT_DEADLINE)
        take_deadline(store, event);
    if (event->op == EVENT_DEADLINE || event->revision <= store->position)
        return 0;
    if (event->prev != store->position)
        return CHAIN_BROKEN;
    if (chain_make_change(store, event, tell) != 0)
        return CHAIN_NOT_NOW;
    expiring_note(store, event);
    chain_begin(store, event->revision);
    return 0;
}

static void note_drop(struct kv_store *store)
{
    if (!store->has_dropped)
        store->host->base.log(&store->host->base, KV_LOG_WARN,
                              "Redis at %s passes on changes that another node has made: they are "
                              "dropped",
                              store->settings.address.text);
    store->has_dropped = true;
}

/* Servers of older versions do not name the node. */
static bool is_foreign(const struct kv_store *store, const struct event *event)
{
    uint32_t node = event_token_node(event->token.number);
    return node != 0 && store->node != 0 && node != store->node;
}

static int take_all(struct kv_store *store, struct kv_slice events, bool are_pushed)
{
    struct event event;
    int found, result = 0;
    while (result == 0 && (found = event_next(&events, &event)) == 1)
        if (are_pushed && is_foreign(store, &event))
            note_drop(store);
        else
            result = take_event(store, &event);
    return result == 0 && found != 0 ? CHAIN_BROKEN : result;
}

int chain_take(struct kv_store *store, struct kv_slice events)
{
    return take_all(store, events, true);
}

int chain_take_logged(struct kv_store *store, struct kv_slice events)
{
    struct kv_slice ahead = events;
    struct event event;
    while (event_next(&ahead, &event) == 1)
        if (event.op != EVENT_DEADLINE && event.revision > store->position) {
            if (event.prev != store->position)
                chain_jump(store, event.prev);
            break;
        }
    return take_all(store, events, false);
}
