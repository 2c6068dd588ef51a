/*
 * Invariant: while the backlog is not empty, every change joins it. So states are sent in the order
 * of the changes that led to them, even if those in between are left out.
 */
#include "keyspace/subscriber.h"

void kv_subscriber_init(struct kv_subscriber *subscriber, const struct kv_subscriber_ops *ops,
                        const struct kv_store_link *store, const struct kv_room *room,
                        struct kv_counts *counts, uint32_t max_subscriptions)
{
    *subscriber = (struct kv_subscriber){.ops = ops,
                                         .store = store,
                                         .room = room,
                                         .counts = counts,
                                         .max_subscriptions = max_subscriptions};
    kv_backlog_init(&subscriber->behind, room->tally);
    kv_list_init(&subscriber->subscriptions);
    kv_list_init(&subscriber->awaiting_room);
    kv_list_init(&subscriber->awaiting_replays);
    kv_list_init(&subscriber->in_overflowed);
    kv_list_init(&subscriber->in_lost);
    kv_list_init(&subscriber->in_gathered);
}

void kv_subscriber_close(struct kv_subscriber *subscriber)
{
    kv_list_remove(&subscriber->in_overflowed);
    kv_list_remove(&subscriber->in_lost);
    kv_backlog_fini(&subscriber->behind);
    kv_heap_fini(&subscriber->replays);
}

static inline void deliver(struct kv_subscriber *subscriber, const struct kv_delivery *delivery)
{
    kv_counter_add(&subscriber->counts->states_sent, 1);
    subscriber->ops->on_state(subscriber, delivery);
}

void kv_subscriber_send(struct kv_subscriber *subscriber, struct kv_news *news, bool wants_meta)
{
    const struct kv_delivery delivery = {.news = news, .wants_meta = wants_meta};
    deliver(subscriber, &delivery);
}

static void tell_now(struct kv_subscriber *subscriber, struct kv_news *news,
                     struct kv_coverage coverage)
{
    const struct kv_delivery delivery = {
        .news = news, .wants_meta = coverage.wants_meta, .is_mark = subscriber->n_unsynced == 0};
    deliver(subscriber, &delivery);
}

static void put_behind(struct kv_subscriber *subscriber, struct kv_news *news,
                       struct kv_coverage coverage)
{
    if (subscriber->has_overflowed && !coverage.by_key)
        return;
    subscriber->n_backlogs = kv_subscriber_next_backlog(subscriber);
    kv_backlog_put(&subscriber->behind, subscriber->store, news, coverage);
    if (subscriber->behind.cost > subscriber->max_subscriptions)
        subscriber->has_overflowed = true;
}

void kv_subscriber_tell(struct kv_subscriber *subscriber, struct kv_news *news,
                        struct kv_coverage coverage)
{
    if (kv_subscriber_has_to_wait(subscriber))
        put_behind(subscriber, news, coverage);
    else
        tell_now(subscriber, news, coverage);
}

void kv_subscriber_show(struct kv_subscriber *subscriber, struct kv_slice key, uint64_t hash,
                        uint64_t revision)
{
    if (!kv_subscriber_is_behind(subscriber))
        return;
    struct kv_behind *behind = kv_backlog_find(&subscriber->behind, key, hash);
    if (behind == NULL)
        return;
    const struct kv_news *news = &behind->kept->news;
    bool is_older = revision != 0 ? news->revision < revision : news->state.revision != 0;
    if (is_older)
        kv_backlog_remove(&subscriber->behind, behind);
}

bool kv_subscriber_supersede(struct kv_subscriber *subscriber, struct kv_slice key, uint64_t hash,
                             uint64_t revision)
{
    if (!kv_subscriber_is_behind(subscriber))
        return false;
    struct kv_behind *behind = kv_backlog_find(&subscriber->behind, key, hash);
    if (behind == NULL)
        return false;
    if (behind->kept->news.revision >= revision)
        return true;
    kv_backlog_remove(&subscriber->behind, behind);
    return false;
}

void kv_subscriber_catch_up(struct kv_subscriber *subscriber)
{
    struct kv_behind *first;
    if (!kv_room_is_half_empty(subscriber->room))
        return;
    while (kv_room_is_open(subscriber->room) &&
           (first = kv_backlog_first(&subscriber->behind)) != NULL) {
        const struct kv_delivery delivery = {.news = &first->kept->news,
                                             .wants_meta = first->coverage.wants_meta,
                                             .is_collapsed = true};
        deliver(subscriber, &delivery);
        kv_counter_add(&subscriber->counts->states_collapsed, 1);
        kv_backlog_remove(&subscriber->behind, first);
    }
}

void kv_subscriber_drop_backlog(struct kv_subscriber *subscriber)
{
    subscriber->has_overflowed = false;
    subscriber->n_backlogs++;
    kv_backlog_keep_keys(&subscriber->behind);
}

void kv_subscriber_drop_all(struct kv_subscriber *subscriber)
{
    struct kv_behind *first;
    subscriber->has_overflowed = false;
    subscriber->n_backlogs++;
    kv_list_remove(&subscriber->in_overflowed);
    while ((first = kv_backlog_first(&subscriber->behind)) != NULL)
        kv_backlog_remove(&subscriber->behind, first);
}
