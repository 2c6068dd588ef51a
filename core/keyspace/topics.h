/*
 * Subscriptions to keys: those of one loop's clients, and the table by which every commit finds out
 * whether a loop wants to know of a key's changes. Here is found which subscriptions cover a
 * change; how it reaches a client is subscriber.h.
 */
#ifndef KV_KEYSPACE_TOPICS_H
#define KV_KEYSPACE_TOPICS_H

#include "base/table.h"
#include "keyspace/command.h"
#include "keyspace/subscriber.h"

enum {
    KV_INTEREST_BUCKETS = 1 << 16
};

/* Of all loops: for each bucket of key hashes, one bit for each loop that wants changes. */
struct kv_interests {
    _Atomic uint64_t *loops;
};

/* A key that clients of this loop subscribe to. */
struct kv_topic {
    struct kv_table_node node;
    struct kv_slice key; /* behind the struct */
    struct kv_list subscriptions;
};

struct kv_subscription {
    struct kv_topic *topic;
    struct kv_subscriber *subscriber;
    struct kv_table_node node; /* in the loop's table, by subscriber and key */
    struct kv_list in_topic;
    struct kv_list in_subscriber;
};

/* The subscriptions of one loop. */
struct kv_topics {
    struct kv_interests *interests;
    uint32_t *n_interested; /* topics in each bucket of the interests */
    uint32_t loop;
    struct kv_table topics;
    struct kv_table subscriptions;
};

void kv_interests_init(struct kv_interests *interests);
void kv_interests_fini(struct kv_interests *interests);

/* The loops that have topics of this hash (or of one that shares its bucket). Threads: any. */
static inline uint64_t kv_interests_of(const struct kv_interests *interests, uint64_t hash)
{
    return atomic_load(&interests->loops[hash % KV_INTEREST_BUCKETS]);
}

void kv_topics_init(struct kv_topics *topics, struct kv_interests *interests, uint32_t loop);
/* There are no subscriptions left. */
void kv_topics_fini(struct kv_topics *topics);

/* Returns: NULL where there is none. */
struct kv_subscription *kv_topics_find(struct kv_topics *topics,
                                       const struct kv_subscriber *subscriber, struct kv_slice key,
                                       uint64_t hash);

/* Returns: KV_OK, also where there is one already; KV_TOO_MANY_TOPICS; or KV_FULL. */
int kv_topics_subscribe(struct kv_topics *topics, struct kv_subscriber *subscriber,
                        struct kv_slice key, uint64_t hash);
void kv_topics_unsubscribe(struct kv_topics *topics, struct kv_subscription *subscription);
void kv_topics_unsubscribe_all(struct kv_topics *topics, struct kv_subscriber *subscriber);

/* Passes a change on to the key's subscribers, if it has any. */
void kv_topics_tell(struct kv_topics *topics, const struct kv_change *change);

#endif
