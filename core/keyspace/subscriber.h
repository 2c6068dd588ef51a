/*
 * A subscriber: the part of a client to which states of keys are sent, whatever subscriptions cover
 * them. What its connection has no room for is behind: of each key the newest state is kept, and
 * sent when there is room.
 *
 * The keys that a client names are limited, those under its prefixes are not. So the backlog of the
 * latter is: where it overflows it is given up, and its subscriptions begin anew with the present
 * state.
 */
#ifndef KV_KEYSPACE_SUBSCRIBER_H
#define KV_KEYSPACE_SUBSCRIBER_H

#include "base/heap.h"
#include "keyspace/backlog.h"
#include "keyspace/counts.h"
#include "keyspace/room.h"

struct kv_subscriber;
struct kv_subscription;

/* One key, or all keys that begin with a text. */
struct kv_pattern {
    struct kv_slice text;
    uint64_t hash; /* kv_hash(text) */
    bool is_prefix;
};

/* A state of a key on its way to one subscriber. */
struct kv_delivery {
    struct kv_news *news;
    bool wants_meta;
    bool is_collapsed; /* states before it may have been left out */
    bool is_mark;      /* everything up to its revision has been sent */
};

/* The protocol layer's. Each runs on the loop, and must not send commands or close a client. */
struct kv_subscriber_ops {
    void (*on_state)(struct kv_subscriber *subscriber, const struct kv_delivery *delivery);
    /* The state of all that the pattern covers has been sent, up to this revision (0: unknown). */
    void (*on_synced)(struct kv_subscriber *subscriber, const struct kv_pattern *pattern,
                      uint64_t revision);
    /* What was sent for the pattern is to be forgotten: the present state follows. */
    void (*on_reset)(struct kv_subscriber *subscriber, const struct kv_pattern *pattern);
    /* The subscription has ended, as the store could not be read. status: of a command. */
    void (*on_failed)(struct kv_subscriber *subscriber, const struct kv_pattern *pattern,
                      int status);
};

struct kv_subscriber {
    const struct kv_subscriber_ops *ops;
    const struct kv_store_link *store;
    const struct kv_room *room; /* the connection's */
    struct kv_counts *counts;   /* its loop's */
    struct kv_backlog behind;
    uint32_t n_backlogs; /* times that it fell behind */
    bool has_overflowed; /* states of keys under prefixes are dropped */
    bool may_resume;     /* it is told revisions, and so the change log is to run */

    /* For topics.h. */
    struct kv_list subscriptions;
    uint32_t n_subscriptions; /* one of a long text counts once more for each KiB */
    uint32_t n_prefixes;      /* of them */
    size_t subscribed_bytes;  /* of their memory, as if none were shared */
    uint32_t n_unsynced;
    struct kv_heap replays;          /* of its subscriptions, by `told_after` */
    uint64_t n_begun;                /* subscriptions and replays */
    uint32_t n_reading;              /* pages that its syncs read now (sync.h) */
    struct kv_list awaiting_room;    /* syncs */
    struct kv_list awaiting_replays; /* the same */
    uint32_t max_subscriptions;
    struct kv_list in_overflowed;
    struct kv_list in_lost;
    /* While a change is told that several of them cover: */
    struct kv_list in_gathered;
    uint64_t told; /* the number of the last such change */
    struct kv_coverage coverage;
    struct kv_subscription *live;  /* of those that are live, the one that tells */
    struct kv_subscription *claim; /* the same of those that are being replayed */
};

/* room: lent until it is closed. */
void kv_subscriber_init(struct kv_subscriber *subscriber, const struct kv_subscriber_ops *ops,
                        const struct kv_store_link *store, const struct kv_room *room,
                        struct kv_counts *counts, uint32_t max_subscriptions);

/* Its connection is gone: nothing is sent any more. It has no subscriptions left. */
void kv_subscriber_close(struct kv_subscriber *subscriber);

/* Sends a state at once, be there room or not: the caller has looked. */
void kv_subscriber_send(struct kv_subscriber *subscriber, struct kv_news *news, bool wants_meta);

/* What a subscription counts for, by the text that is kept of it. */
static inline uint32_t kv_subscription_cost(struct kv_slice text)
{
    return 1 + (uint32_t)(text.len / 1024);
}

static inline bool kv_subscriber_is_behind(const struct kv_subscriber *subscriber)
{
    return !kv_backlog_is_empty(&subscriber->behind);
}

/* Whether the next change will join the backlog. */
static inline bool kv_subscriber_has_to_wait(const struct kv_subscriber *subscriber)
{
    return kv_subscriber_is_behind(subscriber) || !kv_room_is_open(subscriber->room);
}

/* The number of the backlog that the next change would join. */
static inline uint32_t kv_subscriber_next_backlog(const struct kv_subscriber *subscriber)
{
    return subscriber->n_backlogs +
           (!kv_subscriber_is_behind(subscriber) && !subscriber->has_overflowed);
}

/* Tells a change that its subscriptions cover. */
void kv_subscriber_tell(struct kv_subscriber *subscriber, struct kv_news *news,
                        struct kv_coverage coverage);

/* An answer is to show a key's state of this revision (0: no value). An older state that the key
 * is behind with is not to follow it: the change that led to the newer one is still to come. */
void kv_subscriber_show(struct kv_subscriber *subscriber, struct kv_slice key, uint64_t hash,
                        uint64_t revision);

/* Whether the state of this revision, or a newer one of the key, is behind; an older one that is
 * will not be sent. */
bool kv_subscriber_supersede(struct kv_subscriber *subscriber, struct kv_slice key, uint64_t hash,
                             uint64_t revision);

/* Sends states that are behind, as far as there is room. */
void kv_subscriber_catch_up(struct kv_subscriber *subscriber);

/* Gives up the backlog of keys under prefixes, which has overflowed. */
void kv_subscriber_drop_backlog(struct kv_subscriber *subscriber);

/* Gives up everything that it has not been told yet: none of it is true any more. */
void kv_subscriber_drop_all(struct kv_subscriber *subscriber);

#endif
