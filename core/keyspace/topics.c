/*
 * The subscriptions of one loop: a table of topics (keys), each with the ring of its
 * subscriptions. Invariant: while a topic exists, its loop's bit stands in the bucket of the
 * process-wide interest table that its hash falls into, so that the feed brings the key's changes
 * here. The bit is set before kv_topics_subscribe() returns, sequentially consistent: a change
 * either is told, or was published before and is seen by every later read.
 */
#include "keyspace/topics.h"

#include <stdlib.h>

#include "base/mem.h"

void kv_interests_init(struct kv_interests *interests)
{
    interests->loops = kv_calloc(KV_INTEREST_BUCKETS, sizeof(*interests->loops));
}

void kv_interests_fini(struct kv_interests *interests)
{
    free(interests->loops);
}

void kv_topics_init(struct kv_topics *topics, struct kv_interests *interests, uint32_t loop)
{
    *topics = (struct kv_topics){.interests = interests, .loop = loop};
    topics->n_interested = kv_calloc(KV_INTEREST_BUCKETS, sizeof(*topics->n_interested));
}

void kv_topics_fini(struct kv_topics *topics)
{
    kv_table_fini(&topics->topics);
    kv_table_fini(&topics->subscriptions);
    free(topics->n_interested);
}

static void add_interest(struct kv_topics *topics, uint64_t hash)
{
    size_t bucket = hash % KV_INTEREST_BUCKETS;
    if (topics->n_interested[bucket]++ == 0)
        atomic_fetch_or(&topics->interests->loops[bucket], UINT64_C(1) << topics->loop);
}

static void drop_interest(struct kv_topics *topics, uint64_t hash)
{
    size_t bucket = hash % KV_INTEREST_BUCKETS;
    if (--topics->n_interested[bucket] == 0)
        atomic_fetch_and(&topics->interests->loops[bucket], ~(UINT64_C(1) << topics->loop));
}

static struct kv_topic *find_topic(struct kv_topics *topics, struct kv_slice key, uint64_t hash)
{
    KV_TABLE_EACH(&topics->topics, hash, node)
    {
        struct kv_topic *topic = KV_CONTAINER(node, struct kv_topic, node);
        if (kv_slice_equals(topic->key, key))
            return topic;
    }
    return NULL;
}

static struct kv_topic *create_topic(struct kv_topics *topics, struct kv_slice key, uint64_t hash)
{
    struct kv_topic *topic = kv_try_alloc(sizeof(*topic) + key.len);
    if (topic == NULL)
        return NULL;
    char *bytes = (char *)(topic + 1);
    if (key.len != 0)
        memcpy(bytes, key.bytes, key.len);
    *topic = (struct kv_topic){.key = {bytes, key.len}};
    kv_list_init(&topic->subscriptions);
    kv_table_insert(&topics->topics, &topic->node, hash);
    add_interest(topics, hash);
    return topic;
}

static void destroy_topic(struct kv_topics *topics, struct kv_topic *topic)
{
    drop_interest(topics, topic->node.hash);
    kv_table_remove(&topics->topics, &topic->node);
    free(topic);
}

static uint64_t hash_of_pair(const struct kv_subscriber *subscriber, uint64_t hash)
{
    return hash ^ ((uint64_t)(uintptr_t)subscriber * UINT64_C(0x9e3779b97f4a7c15));
}

struct kv_subscription *kv_topics_find(struct kv_topics *topics,
                                       const struct kv_subscriber *subscriber, struct kv_slice key,
                                       uint64_t hash)
{
    if (subscriber->n_subscriptions == 0)
        return NULL;
    KV_TABLE_EACH(&topics->subscriptions, hash_of_pair(subscriber, hash), node)
    {
        struct kv_subscription *one = KV_CONTAINER(node, struct kv_subscription, node);
        if (one->subscriber == subscriber && kv_slice_equals(one->topic->key, key))
            return one;
    }
    return NULL;
}

/* A subscription counts by its key's length, as the key is kept. */
static uint32_t cost_of(struct kv_slice key)
{
    return 1 + (uint32_t)(key.len / 1024);
}

int kv_topics_subscribe(struct kv_topics *topics, struct kv_subscriber *subscriber,
                        struct kv_slice key, uint64_t hash)
{
    if (kv_topics_find(topics, subscriber, key, hash) != NULL)
        return KV_OK;
    if (subscriber->n_subscriptions + cost_of(key) > subscriber->max_subscriptions)
        return KV_TOO_MANY_TOPICS;
    struct kv_topic *topic = find_topic(topics, key, hash);
    if (topic == NULL && (topic = create_topic(topics, key, hash)) == NULL)
        return KV_FULL;
    struct kv_subscription *subscription = kv_alloc(sizeof(*subscription));
    subscription->topic = topic;
    subscription->subscriber = subscriber;
    kv_table_insert(&topics->subscriptions, &subscription->node, hash_of_pair(subscriber, hash));
    kv_list_append(&topic->subscriptions, &subscription->in_topic);
    kv_list_append(&subscriber->subscriptions, &subscription->in_subscriber);
    subscriber->n_subscriptions += cost_of(key);
    return KV_OK;
}

void kv_topics_unsubscribe(struct kv_topics *topics, struct kv_subscription *subscription)
{
    struct kv_topic *topic = subscription->topic;
    kv_table_remove(&topics->subscriptions, &subscription->node);
    kv_list_remove(&subscription->in_topic);
    kv_list_remove(&subscription->in_subscriber);
    subscription->subscriber->n_subscriptions -= cost_of(topic->key);
    if (kv_list_is_empty(&topic->subscriptions))
        destroy_topic(topics, topic);
    free(subscription);
}

void kv_topics_unsubscribe_all(struct kv_topics *topics, struct kv_subscriber *subscriber)
{
    KV_LIST_EACH(&subscriber->subscriptions, link, after)
    kv_topics_unsubscribe(topics, KV_CONTAINER(link, struct kv_subscription, in_subscriber));
}

void kv_topics_tell(struct kv_topics *topics, const struct kv_change *change)
{
    struct kv_topic *topic = find_topic(topics, change->key, change->hash);
    if (topic == NULL)
        return;
    struct kv_news news = kv_news_of_change(change);
    KV_LIST_EACH(&topic->subscriptions, link, after)
    {
        struct kv_subscription *subscription = KV_CONTAINER(link, struct kv_subscription, in_topic);
        kv_subscriber_tell(subscription->subscriber, &news);
    }
    kv_news_fini(&news);
}
