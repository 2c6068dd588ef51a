#include "keyspace/sync.h"

#include "base/mem.h"

enum {
    PAGES_AT_ONCE = 4 /* of one client */
};

void kv_sync_init(struct kv_sync *sync, struct kv_syncs *syncs,
                  struct kv_subscription *subscription)
{
    sync->syncs = syncs;
    sync->subscription = subscription;
    kv_list_init(&sync->in_list);
    kv_topics_hold_up(subscription, &sync->holdup);
    kv_sync_make_ready(sync);
}

void kv_sync_fini(struct kv_sync *sync)
{
    if (sync->subscription == NULL)
        return;
    kv_sync_end_reading(sync);
    kv_list_remove(&sync->in_list);
    kv_topics_hold_up(sync->subscription, NULL);
    sync->subscription = NULL;
}

void kv_sync_make_ready(struct kv_sync *sync)
{
    kv_list_remove(&sync->in_list);
    kv_list_append(&sync->syncs->ready, &sync->in_list);
}

static void wait_in(struct kv_sync *sync, struct kv_list *list)
{
    kv_list_remove(&sync->in_list);
    kv_list_append(list, &sync->in_list);
}

static bool is_delivered(const struct kv_sync *sync)
{
    return sync->awaited == 0 || kv_feed_delivered_upto(sync->syncs->inbox) >= sync->awaited;
}

bool kv_sync_is_delivered(struct kv_sync *sync)
{
    struct kv_feed_inbox *inbox = sync->syncs->inbox;
    if (is_delivered(sync))
        return true;
    kv_watermark_wait(&inbox->feed->watermark, inbox->index);
    if (is_delivered(sync))
        return true;
    wait_in(sync, &sync->syncs->awaiting_feed);
    return false;
}

bool kv_sync_begin_reading(struct kv_sync *sync)
{
    struct kv_subscriber *subscriber = kv_sync_subscriber(sync);
    if (subscriber->n_reading >= PAGES_AT_ONCE || !kv_room_is_half_empty(subscriber->room)) {
        wait_in(sync, &subscriber->awaiting_room);
        return false;
    }
    sync->is_reading = true;
    subscriber->n_reading++;
    return true;
}

/* Lets the next waiting sync read. */
void kv_sync_end_reading(struct kv_sync *sync)
{
    if (!sync->is_reading)
        return;
    sync->is_reading = false;
    struct kv_subscriber *subscriber = kv_sync_subscriber(sync);
    subscriber->n_reading--;
    if (!kv_list_is_empty(&subscriber->awaiting_room))
        kv_sync_make_ready(KV_CONTAINER(subscriber->awaiting_room.next, struct kv_sync, in_list));
}

void kv_sync_begin_end(struct kv_sync *sync, uint64_t upto)
{
    sync->awaited = upto;
    sync->behind = kv_sync_subscriber(sync)->behind.n_put;
}

/* Whether the states that joined the backlog before the end have been sent. */
static bool has_caught_up(const struct kv_sync *sync)
{
    const struct kv_behind *first = kv_backlog_first(&kv_sync_subscriber(sync)->behind);
    return first == NULL || first->number >= sync->behind;
}

/* The revision up to which everything that this subscription covers has been sent to the client. */
static uint64_t mark_of(const struct kv_sync *sync)
{
    const struct kv_behind *first = kv_backlog_first(&kv_sync_subscriber(sync)->behind);
    uint64_t mark = kv_feed_delivered_upto(sync->syncs->inbox);
    if (first != NULL && first->kept->news.revision - 1 < mark)
        mark = first->kept->news.revision - 1;
    return mark > sync->awaited ? mark : sync->awaited;
}

bool kv_sync_end(struct kv_sync *sync)
{
    struct kv_subscriber *subscriber = kv_sync_subscriber(sync);
    if (!kv_sync_is_delivered(sync))
        return false;
    if (kv_subscriber_is_replayed(subscriber, sync->subscription->told_after)) {
        wait_in(sync, &subscriber->awaiting_replays); /* a replay may rely on it */
        return false;
    }
    if (!has_caught_up(sync)) {
        wait_in(sync, &subscriber->awaiting_room);
        return false;
    }
    const struct kv_pattern *pattern = kv_sync_pattern(sync);
    uint64_t mark = mark_of(sync);
    if (sync->subscription->told_after > mark) /* it began with the present state */
        sync->subscription->told_after = mark;
    kv_sync_fini(sync);
    subscriber->ops->on_synced(subscriber, pattern, mark);
    return true;
}

void kv_sync_end_replay(struct kv_sync *sync)
{
    if (sync->subscription == NULL || !kv_subscription_is_replayed(sync->subscription))
        return;
    struct kv_subscriber *subscriber = kv_sync_subscriber(sync);
    const struct kv_heap_node *first = kv_heap_first(&subscriber->replays);
    int64_t least = first->at;
    kv_topics_end_replay(sync->subscription);
    first = kv_heap_first(&subscriber->replays);
    if (first != NULL && first->at == least)
        return; /* they wait for the other replays as well */
    while (!kv_list_is_empty(&subscriber->awaiting_replays))
        kv_sync_make_ready(
            KV_CONTAINER(subscriber->awaiting_replays.next, struct kv_sync, in_list));
}
