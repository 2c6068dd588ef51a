/*
 * The subscriptions of one loop: a table of topics (keys), each with the ring of its
 * subscriptions. Invariant: while a topic exists, its loop's bit stands in the bucket of the
 * process-wide interest table that its hash falls into, so that the feed brings the key's changes
 * here. The bit is set before kv_topics_subscribe() returns, sequentially consistent: a change
 * either is told, or was published before and is seen by every later read.
 */
#include "keyspace/impl.h"

#include <stdlib.h>

#include "base/mem.h"

static size_t bucket_of(uint64_t hash)
{
    return hash % KV_INTEREST_BUCKETS;
}

static void add_interest(struct kv_keyspace_loop *here, uint64_t hash)
{
    if (here->interests[bucket_of(hash)]++ == 0)
        atomic_fetch_or(&here->keyspace->interests[bucket_of(hash)], UINT64_C(1) << here->index);
}

static void drop_interest(struct kv_keyspace_loop *here, uint64_t hash)
{
    if (--here->interests[bucket_of(hash)] == 0)
        atomic_fetch_and(&here->keyspace->interests[bucket_of(hash)],
                         ~(UINT64_C(1) << here->index));
}

static struct kv_topic *find_topic(struct kv_keyspace_loop *here, struct kv_slice key,
                                   uint64_t hash)
{
    KV_TABLE_EACH(&here->topics, hash, node)
    {
        struct kv_topic *topic = KV_CONTAINER(node, struct kv_topic, node);
        if (kv_slice_equals(topic->key, key))
            return topic;
    }
    return NULL;
}

static struct kv_topic *create_topic(struct kv_keyspace_loop *here, struct kv_slice key,
                                     uint64_t hash)
{
    struct kv_topic *topic = kv_try_alloc(sizeof(*topic) + key.len);
    if (topic == NULL)
        return NULL;
    char *bytes = (char *)(topic + 1);
    if (key.len != 0)
        memcpy(bytes, key.bytes, key.len);
    *topic = (struct kv_topic){.key = {bytes, key.len}};
    kv_list_init(&topic->subscriptions);
    kv_table_insert(&here->topics, &topic->node, hash);
    add_interest(here, hash);
    return topic;
}

static void destroy_topic(struct kv_keyspace_loop *here, struct kv_topic *topic)
{
    drop_interest(here, topic->node.hash);
    kv_table_remove(&here->topics, &topic->node);
    kv_keyspace_release(here->keyspace, &topic->newest);
    free(topic);
}

static uint64_t hash_of_pair(const struct kv_client *client, uint64_t hash)
{
    return hash ^ ((uint64_t)(uintptr_t)client * UINT64_C(0x9e3779b97f4a7c15));
}

struct kv_subscription *kv_topics_find(struct kv_client *client, struct kv_slice key, uint64_t hash)
{
    if (client->n_subscriptions == 0)
        return NULL;
    KV_TABLE_EACH(&client->home->subscriptions, hash_of_pair(client, hash), node)
    {
        struct kv_subscription *one = KV_CONTAINER(node, struct kv_subscription, node);
        if (one->client == client && kv_slice_equals(one->topic->key, key))
            return one;
    }
    return NULL;
}

/* What a subscription counts for: its key is kept, and keys may be long. */
static uint32_t cost_of(struct kv_slice key)
{
    return 1 + (uint32_t)(key.len / 1024);
}

int kv_topics_subscribe(struct kv_client *client, struct kv_slice key, uint64_t hash)
{
    if (kv_topics_find(client, key, hash) != NULL)
        return KV_OK;
    if (client->n_subscriptions + cost_of(key) > client->max_subscriptions)
        return KV_TOO_MANY_TOPICS;
    struct kv_topic *topic = find_topic(client->home, key, hash);
    if (topic == NULL && (topic = create_topic(client->home, key, hash)) == NULL)
        return KV_FULL;
    struct kv_subscription *subscription = kv_alloc(sizeof(*subscription));
    subscription->topic = topic;
    subscription->client = client;
    kv_table_insert(&client->home->subscriptions, &subscription->node, hash_of_pair(client, hash));
    kv_list_append(&topic->subscriptions, &subscription->in_topic);
    kv_list_append(&client->subscriptions, &subscription->in_client);
    kv_list_init(&subscription->in_behind);
    client->n_subscriptions += cost_of(key);
    return KV_OK;
}

void kv_topics_unsubscribe(struct kv_subscription *subscription)
{
    struct kv_topic *topic = subscription->topic;
    struct kv_client *client = subscription->client;
    kv_table_remove(&client->home->subscriptions, &subscription->node);
    kv_list_remove(&subscription->in_topic);
    kv_list_remove(&subscription->in_client);
    kv_list_remove(&subscription->in_behind);
    client->n_subscriptions -= cost_of(topic->key);
    if (kv_list_is_empty(&topic->subscriptions))
        destroy_topic(client->home, topic);
    free(subscription);
}

static void remember(struct kv_keyspace *keyspace, struct kv_topic *topic,
                     const struct kv_change *change)
{
    kv_keyspace_release(keyspace, &topic->newest);
    if (change->after.revision != 0)
        topic->newest = kv_keyspace_share(keyspace, &change->after);
    topic->newest_revision = change->revision;
    topic->n_told++;
}

void kv_topics_tell(struct kv_keyspace_loop *here, const struct kv_change *change)
{
    struct kv_topic *topic = find_topic(here, change->key, change->hash);
    if (topic == NULL)
        return;
    remember(here->keyspace, topic, change);
    struct kv_news news = {.change = change};
    KV_LIST_EACH(&topic->subscriptions, link, after)
    {
        struct kv_subscription *subscription = KV_CONTAINER(link, struct kv_subscription, in_topic);
        subscription->client->on_change(subscription, &news);
    }
    if (news.form != NULL)
        news.release_form(news.form);
}

void kv_topics_fini(struct kv_keyspace_loop *here)
{
    kv_table_fini(&here->topics);
    kv_table_fini(&here->subscriptions);
    free(here->interests);
}

bool kv_subscription_newest(const struct kv_subscription *subscription, struct kv_item *ret_item)
{
    *ret_item = subscription->topic->newest;
    return subscription->topic->newest_revision != 0;
}

struct kv_slice kv_subscription_key(const struct kv_subscription *subscription)
{
    return subscription->topic->key;
}
