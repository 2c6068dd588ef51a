/*
 * Subscriptions to keys: those of one loop's clients, and the table by which every commit finds out
 * whether a loop wants to know of a key's changes.
 */
#ifndef KV_KEYSPACE_TOPICS_H
#define KV_KEYSPACE_TOPICS_H

#include "base/table.h"
#include "keyspace/command.h"

enum {
    KV_INTEREST_BUCKETS = 1 << 16
};

/* Of all loops: for each bucket of key hashes, one bit for each loop that wants changes. */
struct kv_interests {
    _Atomic uint64_t *loops;
};

/* A change on its way to the subscribers of one loop. */
struct kv_news {
    const struct kv_change *change;
    /* The change in the form in which it is sent: made by the first subscriber that needs it,
     * shared by all, released after the last by `release_form`. */
    void *form;
    void (*release_form)(void *form);
};

struct kv_subscription;

/* The part of a client that has subscriptions. */
struct kv_subscriber {
    struct kv_list subscriptions;
    uint32_t n_subscriptions; /* one of a long key counts once more for each KiB */
    uint32_t max_subscriptions;
    /* Runs on the loop for each change of a subscribed key. Must not send commands or close a
     * client. */
    void (*on_change)(struct kv_subscription *subscription, struct kv_news *news);
};

/* A key that clients of this loop subscribe to. */
struct kv_topic {
    struct kv_table_node node;
    struct kv_slice key; /* behind the struct */
    struct kv_list subscriptions;
    uint64_t n_told;          /* changes told so far */
    uint64_t newest_revision; /* of the newest one; 0: none was told */
    struct kv_item newest;    /* its state, with a reference; revision 0: no value */
};

struct kv_subscription {
    struct kv_topic *topic;
    struct kv_subscriber *subscriber;
    struct kv_table_node node; /* in the loop's table, by subscriber and key */
    struct kv_list in_topic;
    struct kv_list in_subscriber;
    struct kv_list
        in_behind; /* the protocol layer's: keys whose newest state is still to be sent */
};

/* The newest state of a subscribed key that was told on this loop. Returns: false where none was
 * told yet. The item is borrowed until the loop's next turn; revision 0: no value. */
bool kv_subscription_newest(const struct kv_subscription *subscription, struct kv_item *ret_item);
struct kv_slice kv_subscription_key(const struct kv_subscription *subscription);

/* For the keyspace's own files. */

/* The subscriptions of one loop. */
struct kv_topics {
    const struct kv_store_link *store;
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

void kv_topics_init(struct kv_topics *topics, const struct kv_store_link *store,
                    struct kv_interests *interests, uint32_t loop);
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
