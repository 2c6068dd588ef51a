#include "keyspace/syncs.h"

#include "base/mem.h"
#include "keyspace/replay.h"
#include "keyspace/resets.h"
#include "keyspace/snapshot.h"

enum {
    LOOK_AGAIN_MS = 1 /* while waiting for the feed: not every store's progress wakes a loop */,
    LOST_AT_ONCE = 256 /* subscribers that begin anew in one turn */,
    AT_ONCE = 8 /* of one client; each sync that has read a page makes another one ready */
};

void kv_syncs_init(struct kv_syncs *syncs)
{
    *syncs = (struct kv_syncs){0};
    kv_list_init(&syncs->ready);
    kv_list_init(&syncs->in_turn);
    kv_list_init(&syncs->awaiting_feed);
}

/* ---- beginning ---- */

static void end_present(struct kv_subscription *subscription)
{
    if (subscription->holdup != NULL)
        subscription->holdup->end(subscription->holdup);
}

void kv_syncs_begin_initial(struct kv_syncs *syncs, struct kv_subscription *subscription)
{
    end_present(subscription);
    kv_snapshot_begin(syncs, subscription, false);
}

void kv_syncs_begin_since(struct kv_syncs *syncs, struct kv_subscription *subscription,
                          uint64_t after)
{
    if (!kv_log_reads_are_possible(syncs->log_reads)) {
        kv_reset(syncs, subscription);
        return;
    }
    end_present(subscription);
    kv_replay_begin(syncs, subscription, after);
}

/* ---- continuing ---- */

static void make_ready(struct kv_list *list, uint32_t most)
{
    for (uint32_t i = 0; i < most && !kv_list_is_empty(list); i++)
        kv_sync_make_ready(KV_CONTAINER(list->next, struct kv_sync, in_list));
}

void kv_syncs_make_room(struct kv_subscriber *subscriber)
{
    if (kv_room_is_half_empty(subscriber->room))
        make_ready(&subscriber->awaiting_room, AT_ONCE);
}

/* The backlog of keys under prefixes was dropped: subscriptions that added to it, or relied on it,
 * begin anew. Changes of keys that are subscribed to by name are kept. */
static void reset_overflowed(struct kv_syncs *syncs, struct kv_subscriber *subscriber)
{
    KV_LIST_EACH(&subscriber->subscriptions, link, after)
    {
        struct kv_subscription *one = KV_CONTAINER(link, struct kv_subscription, in_subscriber);
        bool is_kept = !one->topic->pattern.is_prefix && one->holdup == NULL;
        if (!is_kept && one->backlog == subscriber->n_backlogs)
            kv_reset(syncs, one);
    }
    kv_subscriber_drop_backlog(subscriber);
}

static void reset_all(struct kv_syncs *syncs, struct kv_subscriber *subscriber)
{
    kv_subscriber_drop_all(subscriber);
    KV_LIST_EACH(&subscriber->subscriptions, link, after)
    kv_reset(syncs, KV_CONTAINER(link, struct kv_subscription, in_subscriber));
}

static void reset_lost(struct kv_syncs *syncs)
{
    struct kv_subscriber *lost;
    for (int i = 0; i < LOST_AT_ONCE && (lost = kv_topics_take_lost(syncs->topics)) != NULL; i++)
        reset_all(syncs, lost);
}

void kv_syncs_run(struct kv_syncs *syncs)
{
    reset_lost(syncs);
    struct kv_subscriber *overflowed;
    while ((overflowed = kv_topics_take_overflowed(syncs->topics)) != NULL)
        reset_overflowed(syncs, overflowed);
    make_ready(&syncs->awaiting_feed, UINT32_MAX);
    KV_LIST_EACH(&syncs->ready, link, after)
    {
        kv_list_remove(link);
        kv_list_append(&syncs->in_turn, link);
    }
    while (!kv_list_is_empty(&syncs->in_turn)) {
        struct kv_sync *first = KV_CONTAINER(syncs->in_turn.next, struct kv_sync, in_list);
        kv_list_remove(&first->in_list);
        first->advance(first);
    }
}

int64_t kv_syncs_next_ms(const struct kv_syncs *syncs)
{
    if (!kv_list_is_empty(&syncs->ready) || !kv_list_is_empty(&syncs->topics->overflowed) ||
        !kv_list_is_empty(&syncs->topics->lost))
        return INT64_MIN;
    if (kv_list_is_empty(&syncs->awaiting_feed))
        return INT64_MAX;
    return kv_clock_now_ms(syncs->parts->clock) + LOOK_AGAIN_MS;
}
