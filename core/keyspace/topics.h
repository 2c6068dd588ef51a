/*
 * The subscriptions of one loop's clients, to keys and to prefixes of keys. Here is found which of
 * them cover a change; how it reaches a client is subscriber.h.
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
    /* Returns: whether the client may be told now; otherwise the change is the holdup's. */
    bool (*passes)(struct kv_holdup *self, struct kv_news *news);
    /* The client was told a change because another of its subscriptions covers it as well. */
    void (*told)(struct kv_holdup *self, const struct kv_news *news);
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
    uint64_t told_after;      /* changes after this one have been told, or will be; */
    uint64_t told_upto;       /* while it is held up, up to this one only */
    bool wants_meta;
    uint32_t backlog; /* the number of the subscriber's last backlog that it added to */
};

/* The subscriptions of one loop. */
struct kv_topics {
    struct kv_loop_interests interests;
    struct kv_table keys;
    struct kv_prefix_tree prefixes;
    struct kv_table subscriptions;
    uint64_t n_told;           /* changes */
    struct kv_list overflowed; /* subscribers */
};

void kv_topics_init(struct kv_topics *topics, struct kv_interests *interests, uint32_t loop);
/* There are no subscriptions left. */
void kv_topics_fini(struct kv_topics *topics);

/* Returns: NULL where there is none. */
struct kv_subscription *kv_topics_find(const struct kv_topics *topics,
                                       const struct kv_subscriber *subscriber,
                                       const struct kv_pattern *pattern);

/* Whether the subscriber is told the changes of this key. */
bool kv_topics_cover(const struct kv_topics *topics, const struct kv_subscriber *subscriber,
                     struct kv_slice key, uint64_t hash);

/* Returns: KV_OK and *ret, the subscription, also where it was there; KV_TOO_MANY_TOPICS; or
 * KV_FULL. */
int kv_topics_subscribe(struct kv_topics *topics, struct kv_subscriber *subscriber,
                        const struct kv_pattern *pattern, struct kv_subscription **ret);
void kv_topics_unsubscribe(struct kv_topics *topics, struct kv_subscription *subscription);
void kv_topics_unsubscribe_all(struct kv_topics *topics, struct kv_subscriber *subscriber);

/* Tells a change to the subscribers of its key, each once. */
void kv_topics_tell(struct kv_topics *topics, const struct kv_change *change);

/* Tells a change to one subscription that covers it, which was held up till now. */
void kv_topics_tell_one(struct kv_topics *topics, struct kv_subscription *subscription,
                        struct kv_news *news);

/* holdup: NULL where it is held up no longer. */
void kv_topics_hold_up(struct kv_subscription *subscription, struct kv_holdup *holdup);

/* Whether another subscription of the same client tells it this change, or has told it. If not,
 * *ret_wants_meta says whether any that covers it asks for `meta`. */
bool kv_topics_tell_otherwise(const struct kv_topics *topics,
                              const struct kv_subscription *subscription,
                              const struct kv_news *news, bool *ret_wants_meta);

/* The subscriber has been told a change: those of its subscriptions that cover it and are held up
 * take note. */
void kv_topics_note_told(const struct kv_topics *topics, const struct kv_subscriber *subscriber,
                         const struct kv_news *news);

/* Of subscribers whose backlog has overflowed, one at a time: kv_subscriber_drop_backlog() is to be
 * called for it. Returns: NULL where there is none. */
struct kv_subscriber *kv_topics_take_overflowed(struct kv_topics *topics);

#endif
