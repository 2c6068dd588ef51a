/*
 * A subscriber: the part of a client that states of keys are sent to, whatever subscriptions cover
 * them. States for which its connection has no room join the backlog: it keeps the newest state of
 * each key, and sends it when there is room.
 *
 * The number of keys that a client subscribes to is limited, but not the number of keys under its
 * prefixes. So the backlog of the latter is limited: if it overflows it is dropped, and its
 * subscriptions begin anew with the present state.
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
    bool is_collapsed; /* earlier states may have been left out */
    bool is_mark;      /* everything up to its revision has been sent */
};

/* Callbacks of the protocol layer. Each runs on the loop, and must not send commands or close a
 * client. */
struct kv_subscriber_ops {
    void (*on_state)(struct kv_subscriber *subscriber, const struct kv_delivery *delivery);
    /* The states of all keys that the pattern covers have been sent, up to this revision (0:
     * unknown). */
    void (*on_synced)(struct kv_subscriber *subscriber, const struct kv_pattern *pattern,
                      uint64_t revision);
    /* The client has to forget what was sent for the pattern: the present state follows. */
    void (*on_reset)(struct kv_subscriber *subscriber, const struct kv_pattern *pattern);
    /* The subscription has ended, as the store could not be read. status: as of a command. */
    void (*on_failed)(struct kv_subscriber *subscriber, const struct kv_pattern *pattern,
                      int status);
};

struct kv_subscriber {
    const struct kv_subscriber_ops *ops;
    const struct kv_store_link *store;
    const struct kv_room *room; /* the connection's */
    struct kv_counts *counts;   /* its loop's */
    struct kv_backlog behind;
    uint32_t n_backlogs; /* number of times that it fell behind */
    bool has_overflowed; /* states of keys under prefixes are dropped */
    bool may_resume;     /* it is told revisions, so the change log has to run */

    /* For topics.h. */
    struct kv_list subscriptions;
    uint32_t n_subscriptions; /* a long text counts once more for each KiB */
    uint32_t n_prefixes;      /* those of `n_subscriptions` that are to prefixes */
    size_t subscribed_bytes;  /* memory of the subscriptions, as if nothing were shared */
    uint32_t n_unsynced;
    struct kv_heap replays;          /* of its subscriptions, by `told_after` */
    uint64_t n_begun;                /* subscriptions and replays */
    uint32_t n_reading;              /* pages that its syncs are reading now (sync.h) */
    struct kv_list awaiting_room;    /* syncs */
    struct kv_list awaiting_replays; /* the same */
    uint32_t max_subscriptions;
    struct kv_list in_overflowed;
    struct kv_list in_lost;
    /* While a change is delivered that several subscriptions cover: */
    struct kv_list in_gathered;
    uint64_t told; /* the number of the last such change */
    struct kv_coverage coverage;
    struct kv_subscription *live;  /* of its live subscriptions, the one that tells the change */
    struct kv_subscription *claim; /* the same among those that are being replayed */
};

/* room: lent until the subscriber is closed. */
void kv_subscriber_init(struct kv_subscriber *subscriber, const struct kv_subscriber_ops *ops,
                        const struct kv_store_link *store, const struct kv_room *room,
                        struct kv_counts *counts, uint32_t max_subscriptions);

/* Its connection is gone: nothing is sent any more. It must have no subscriptions left. */
void kv_subscriber_close(struct kv_subscriber *subscriber);

/* Sends a state at once, without checking the room: the caller has done that. */
void kv_subscriber_send(struct kv_subscriber *subscriber, struct kv_news *news, bool wants_meta);

/* The cost of a subscription, by the text that is kept for it. */
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

/* Sends a change that its subscriptions cover, or adds it to the backlog. */
void kv_subscriber_tell(struct kv_subscriber *subscriber, struct kv_news *news,
                        struct kv_coverage coverage);

/* An answer is about to show a key's state of this revision (0: no value). An older state in the
 * backlog must not follow it, and is dropped: the change that led to the newer one is still to
 * come. */
void kv_subscriber_show(struct kv_subscriber *subscriber, struct kv_slice key, uint64_t hash,
                        uint64_t revision);

/* Whether the state of this revision, or a newer one of the key, is in the backlog; an older one in
 * the backlog will not be sent. */
bool kv_subscriber_supersede(struct kv_subscriber *subscriber, struct kv_slice key, uint64_t hash,
                             uint64_t revision);

/* Sends states of the backlog, as far as there is room. */
void kv_subscriber_catch_up(struct kv_subscriber *subscriber);

/* Drops the backlog of keys under prefixes, which has overflowed. */
void kv_subscriber_drop_backlog(struct kv_subscriber *subscriber);

/* Drops everything that is not sent yet: none of it is true any more. */
void kv_subscriber_drop_all(struct kv_subscriber *subscriber);

#endif
