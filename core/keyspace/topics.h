/*
 * The subscriptions of one loop's clients, to keys and to prefixes of keys. This file finds the
 * subscriptions that cover a change; subscriber.h brings the change to a client.
 *
 * A change that several subscriptions of a client cover is told once. Each subscription is owed the
 * changes after some revision (`told_after`). One of those that cover a key tells its changes for
 * all of them: the one that is owed the most. A subscription that is being replayed from the change
 * log (replay.h) tells them when it gets there, so nothing is told about its keys meanwhile; any
 * other tells a change when the feed delivers it. So a client is told the changes of a key in their
 * order, each once, however its subscriptions overlap.
 *
 * The others rely on the one that tells: while a subscription is being replayed, those that overlap
 * with it neither end nor begin anew (kv_topics_is_relied_on), unless all of them do (resets.h).
 */
#ifndef KV_KEYSPACE_TOPICS_H
#define KV_KEYSPACE_TOPICS_H

#include "base/prefix_tree.h"
#include "keyspace/command.h"
#include "keyspace/interests.h"
#include "keyspace/subscriber.h"

/* A pattern that clients of this loop subscribe to. */
struct kv_topic {
    struct kv_pattern pattern;  /* its text lies behind the struct */
    struct kv_table_node node;  /* of a key */
    struct kv_prefix_leaf leaf; /* of a prefix */
    struct kv_list subscriptions;
};

/* Holds changes back from a subscription until its client has caught up with it (sync.h). */
struct kv_holdup {
    /* Returns: whether the client may be told now; otherwise the holdup takes the change. NULL: it
     * may, unless the subscription is being replayed. */
    bool (*passes)(struct kv_holdup *self, struct kv_news *news);
    /* The client was told a change, possibly because another of its subscriptions also covers it.
     * NULL if `passes` is. */
    void (*told)(struct kv_holdup *self, struct kv_news *news);
    /* The subscription is gone. */
    void (*end)(struct kv_holdup *self);
};

struct kv_subscription {
    struct kv_topic *topic;
    struct kv_subscriber *subscriber;
    struct kv_table_node node; /* in the loop's table, by subscriber and pattern */
    struct kv_list in_topic;
    struct kv_list in_subscriber;
    struct kv_holdup *holdup; /* NULL: it is synced */
    uint64_t told_after;      /* changes after this one have been told, or will be; KV_REVISION_MAX:
                                 unknown, it begins with the present state */
    struct kv_heap_node in_replays; /* while it is being replayed */
    uint64_t number;  /* the number of subscriptions and replays that the subscriber had begun */
    bool has_claimed; /* changes that others also cover were left to the replay, or told by it */
    bool wants_meta;
    uint32_t backlog; /* the number of the subscriber's last backlog that it added to */
};

/* The subscriptions of one loop. */
struct kv_topics {
    struct kv_counts *counts;
    struct kv_loop_interests interests;
    struct kv_table keys;
    struct kv_prefix_tree prefixes;
    struct kv_table subscriptions;
    uint64_t n_told;           /* changes */
    struct kv_list overflowed; /* subscribers */
    struct kv_list lost;       /* subscribers that have to start over */
};

void kv_topics_init(struct kv_topics *topics, struct kv_interests *interests, uint32_t loop,
                    struct kv_counts *counts);
/* Call when no subscriptions are left. */
void kv_topics_fini(struct kv_topics *topics);

/* Returns: NULL if there is none. */
struct kv_subscription *kv_topics_find(const struct kv_topics *topics,
                                       const struct kv_subscriber *subscriber,
                                       const struct kv_pattern *pattern);

/* Whether the subscriber is told the changes of this key. */
bool kv_topics_cover(const struct kv_topics *topics, const struct kv_subscriber *subscriber,
                     struct kv_slice key, uint64_t hash);

/* Returns: KV_OK and *ret, the subscription, also if it existed; KV_TOO_MANY_TOPICS; KV_CROWDED; or
 * KV_FULL. */
int kv_topics_subscribe(struct kv_topics *topics, struct kv_subscriber *subscriber,
                        const struct kv_pattern *pattern, struct kv_subscription **ret);
void kv_topics_unsubscribe(struct kv_topics *topics, struct kv_subscription *subscription);
void kv_topics_unsubscribe_all(struct kv_topics *topics, struct kv_subscriber *subscriber);

/* Tells a change to the subscribers of its key, once each. */
void kv_topics_tell(struct kv_topics *topics, const struct kv_change *change);

/* Tells a change to one subscription that covers it, and that was held up until now. */
void kv_topics_tell_one(struct kv_topics *topics, struct kv_subscription *subscription,
                        struct kv_news *news);

/* holdup: NULL if it is no longer held up. */
void kv_topics_hold_up(struct kv_subscription *subscription, struct kv_holdup *holdup);

/* From now on until kv_topics_end_replay(), the change log brings the changes after this revision.
 * Drops states in the backlog that the log will bring again. */
void kv_topics_begin_replay(const struct kv_topics *topics, struct kv_subscription *subscription,
                            uint64_t after);
/* Does nothing if it is not being replayed. */
void kv_topics_end_replay(struct kv_subscription *subscription);

static inline bool kv_subscription_is_replayed(const struct kv_subscription *subscription)
{
    return kv_heap_node_is_in(&subscription->in_replays);
}

/* Whether the client has a subscription that is being replayed and is owed at least this much. */
static inline bool kv_subscriber_is_replayed(const struct kv_subscriber *subscriber,
                                             uint64_t told_after)
{
    const struct kv_heap_node *first = kv_heap_first(&subscriber->replays);
    return first != NULL && first->at <= (int64_t)told_after;
}

/* Tells a change that the replay has reached, unless another subscription has told it, or will. */
void kv_topics_tell_replayed(const struct kv_topics *topics, struct kv_subscription *subscription,
                             struct kv_news *news);

/* Whether a replay under way relies on the subscription, or others rely on its replay. */
bool kv_topics_is_relied_on(const struct kv_subscription *subscription);

/* Whether both may cover the same key. */
bool kv_subscriptions_overlap(const struct kv_subscription *one,
                              const struct kv_subscription *other);

/* Takes the next subscriber whose backlog has overflowed; the caller calls
 * kv_subscriber_drop_backlog() for it. Returns: NULL if there is none. */
struct kv_subscriber *kv_topics_take_overflowed(struct kv_topics *topics);

/* Changes were missed or lost, so all subscribers have to start over: the caller takes them, one at
 * a time, until there is none (NULL), and calls kv_subscriber_drop_all() for each. */
void kv_topics_lose_all(struct kv_topics *topics);
struct kv_subscriber *kv_topics_take_lost(struct kv_topics *topics);

#endif
