/*
 * Invariant: while some key is behind, every change joins the backlog. So states are sent in the
 * order of the changes that led to them, even where those between are left out.
 */
#include "keyspace/subscriber.h"

void kv_subscriber_init(struct kv_subscriber *subscriber, const struct kv_subscriber_ops *ops,
                        const struct kv_store_link *store, const struct kv_room *room,
                        uint32_t max_subscriptions)
{
    *subscriber = (struct kv_subscriber){
        .ops = ops, .store = store, .room = room, .max_subscriptions = max_subscriptions};
    kv_backlog_init(&subscriber->behind);
    kv_list_init(&subscriber->subscriptions);
}

void kv_subscriber_close(struct kv_subscriber *subscriber)
{
    kv_backlog_fini(&subscriber->behind);
}

void kv_subscriber_tell(struct kv_subscriber *subscriber, struct kv_news *news)
{
    if (kv_subscriber_is_behind(subscriber) || !kv_room_is_open(subscriber->room))
        kv_backlog_put(&subscriber->behind, subscriber->store, news);
    else
        subscriber->ops->on_state(subscriber, news);
}

void kv_subscriber_show(struct kv_subscriber *subscriber, struct kv_slice key, uint64_t hash,
                        uint64_t revision)
{
    if (!kv_subscriber_is_behind(subscriber))
        return;
    struct kv_news *behind = kv_backlog_find(&subscriber->behind, key, hash);
    if (behind == NULL)
        return;
    bool is_older = revision != 0 ? behind->revision < revision : behind->state.revision != 0;
    if (is_older)
        kv_backlog_remove(&subscriber->behind, behind);
}

void kv_subscriber_catch_up(struct kv_subscriber *subscriber)
{
    struct kv_news *first;
    if (!kv_room_is_half_empty(subscriber->room))
        return;
    while (kv_room_is_open(subscriber->room) &&
           (first = kv_backlog_first(&subscriber->behind)) != NULL) {
        subscriber->ops->on_state(subscriber, first);
        kv_backlog_remove(&subscriber->behind, first);
    }
}
