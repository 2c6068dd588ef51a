/*
 * A subscriber: the part of a client to which states of keys are sent, whatever subscription covers
 * them. What its connection has no room for is behind: of each key the newest state is kept, and
 * sent when there is room.
 */
#ifndef KV_KEYSPACE_SUBSCRIBER_H
#define KV_KEYSPACE_SUBSCRIBER_H

#include "keyspace/backlog.h"
#include "keyspace/room.h"

struct kv_subscriber;

/* The protocol layer's. Each runs on the loop, and must not send commands or close a client. */
struct kv_subscriber_ops {
    /* Sends a state of a key. */
    void (*on_state)(struct kv_subscriber *subscriber, struct kv_news *news);
};

struct kv_subscriber {
    const struct kv_subscriber_ops *ops;
    const struct kv_store_link *store;
    const struct kv_room *room; /* the connection's */
    struct kv_backlog behind;
    struct kv_list subscriptions; /* topics.h */
    uint32_t n_subscriptions;     /* one of a long key counts once more for each KiB */
    uint32_t max_subscriptions;
};

/* room: lent until it is closed. */
void kv_subscriber_init(struct kv_subscriber *subscriber, const struct kv_subscriber_ops *ops,
                        const struct kv_store_link *store, const struct kv_room *room,
                        uint32_t max_subscriptions);

/* Its connection is gone: nothing is sent any more. It has no subscriptions left. */
void kv_subscriber_close(struct kv_subscriber *subscriber);

/* A change that its subscriptions cover. */
void kv_subscriber_tell(struct kv_subscriber *subscriber, struct kv_news *news);

/* An answer is to show a key's state of this revision (0: no value). An older state that the key
 * is behind with is not to follow it: the change that led to the newer one is still to come. */
void kv_subscriber_show(struct kv_subscriber *subscriber, struct kv_slice key, uint64_t hash,
                        uint64_t revision);

static inline bool kv_subscriber_is_behind(const struct kv_subscriber *subscriber)
{
    return !kv_backlog_is_empty(&subscriber->behind);
}

/* Sends states that are behind, as far as there is room. */
void kv_subscriber_catch_up(struct kv_subscriber *subscriber);

#endif
