/*
 * A table of the keys that are subscribed to, and a tree of the prefixes, each with the ring of its
 * subscriptions. Invariant: while a topic exists, its loop is known to be interested in it, so that
 * the feed brings the changes here.
 *
 * Most changes meet one topic at most; its subscriptions belong to as many subscribers. Where there
 * are several, their subscribers are gathered first.
 */
#include "keyspace/topics.h"

#include <stdlib.h>

#include "base/mem.h"

void kv_topics_init(struct kv_topics *topics, struct kv_interests *interests, uint32_t loop)
{
    *topics = (struct kv_topics){0};
    kv_loop_interests_init(&topics->interests, interests, loop);
    kv_list_init(&topics->overflowed);
}

void kv_topics_fini(struct kv_topics *topics)
{
    kv_table_fini(&topics->keys);
    kv_table_fini(&topics->subscriptions);
    kv_loop_interests_fini(&topics->interests);
}

/* ---- topics ---- */

static struct kv_topic *find_key(const struct kv_topics *topics, struct kv_slice key, uint64_t hash)
{
    KV_TABLE_EACH(&topics->keys, hash, node)
    {
        struct kv_topic *topic = KV_CONTAINER(node, struct kv_topic, node);
        if (kv_slice_equals(topic->pattern.text, key))
            return topic;
    }
    return NULL;
}

static struct kv_topic *topic_of(struct kv_prefix_leaf *leaf)
{
    return leaf == NULL ? NULL : KV_CONTAINER(leaf, struct kv_topic, leaf);
}

static struct kv_topic *find_topic(const struct kv_topics *topics, const struct kv_pattern *pattern)
{
    if (pattern->is_prefix)
        return topic_of(kv_prefix_tree_find(&topics->prefixes, pattern->text));
    return find_key(topics, pattern->text, pattern->hash);
}

static void add_topic(struct kv_topics *topics, struct kv_topic *topic)
{
    const struct kv_pattern *pattern = &topic->pattern;
    if (pattern->is_prefix) {
        topic->leaf.text = pattern->text;
        kv_prefix_tree_insert(&topics->prefixes, &topic->leaf);
        kv_interest_in_prefix_begin(&topics->interests, pattern->text);
    } else {
        kv_table_insert(&topics->keys, &topic->node, pattern->hash);
        kv_interest_in_key_begin(&topics->interests, pattern->hash);
    }
}

static struct kv_topic *create_topic(struct kv_topics *topics, const struct kv_pattern *pattern)
{
    struct kv_slice text = pattern->text;
    struct kv_topic *topic = kv_try_alloc(sizeof(*topic) + text.len);
    if (topic == NULL)
        return NULL;
    char *bytes = (char *)(topic + 1);
    if (text.len != 0)
        memcpy(bytes, text.bytes, text.len);
    *topic = (struct kv_topic){.pattern = *pattern};
    topic->pattern.text.bytes = bytes;
    kv_list_init(&topic->subscriptions);
    add_topic(topics, topic);
    return topic;
}

static void destroy_topic(struct kv_topics *topics, struct kv_topic *topic)
{
    const struct kv_pattern *pattern = &topic->pattern;
    if (pattern->is_prefix) {
        kv_interest_in_prefix_end(&topics->interests, pattern->text);
        kv_prefix_tree_remove(&topics->prefixes, &topic->leaf);
    } else {
        kv_interest_in_key_end(&topics->interests, pattern->hash);
        kv_table_remove(&topics->keys, &topic->node);
    }
    free(topic);
}

/* ---- subscriptions ---- */

static uint64_t hash_of_pair(const struct kv_subscriber *subscriber,
                             const struct kv_pattern *pattern)
{
    uint64_t hash = pattern->is_prefix ? ~pattern->hash : pattern->hash;
    return hash ^ ((uint64_t)(uintptr_t)subscriber * UINT64_C(0x9e3779b97f4a7c15));
}

static bool is_same(const struct kv_pattern *a, const struct kv_pattern *b)
{
    return a->is_prefix == b->is_prefix && kv_slice_equals(a->text, b->text);
}

struct kv_subscription *kv_topics_find(const struct kv_topics *topics,
                                       const struct kv_subscriber *subscriber,
                                       const struct kv_pattern *pattern)
{
    if (subscriber->n_subscriptions == 0)
        return NULL;
    KV_TABLE_EACH(&topics->subscriptions, hash_of_pair(subscriber, pattern), node)
    {
        struct kv_subscription *one = KV_CONTAINER(node, struct kv_subscription, node);
        if (one->subscriber == subscriber && is_same(&one->topic->pattern, pattern))
            return one;
    }
    return NULL;
}

bool kv_topics_cover(const struct kv_topics *topics, const struct kv_subscriber *subscriber,
                     struct kv_slice key, uint64_t hash)
{
    if (kv_topics_find(topics, subscriber, &(struct kv_pattern){.text = key, .hash = hash}) != NULL)
        return true;
    if (subscriber->n_prefixes == 0)
        return false;
    struct kv_prefix_walk walk = kv_prefix_tree_walk(&topics->prefixes, key);
    for (struct kv_topic *topic; (topic = topic_of(kv_prefix_walk_next(&walk))) != NULL;)
        if (kv_topics_find(topics, subscriber, &topic->pattern) != NULL)
            return true;
    return false;
}

static uint32_t cost_of(const struct kv_pattern *pattern)
{
    return kv_subscription_cost(pattern->text);
}

static struct kv_subscription *create_subscription(struct kv_topics *topics,
                                                   struct kv_subscriber *subscriber,
                                                   struct kv_topic *topic)
{
    struct kv_subscription *subscription = kv_calloc(1, sizeof(*subscription));
    subscription->topic = topic;
    subscription->subscriber = subscriber;
    kv_table_insert(&topics->subscriptions, &subscription->node,
                    hash_of_pair(subscriber, &topic->pattern));
    kv_list_append(&topic->subscriptions, &subscription->in_topic);
    kv_list_append(&subscriber->subscriptions, &subscription->in_subscriber);
    subscriber->n_subscriptions += cost_of(&topic->pattern);
    subscriber->n_prefixes += topic->pattern.is_prefix;
    return subscription;
}

int kv_topics_subscribe(struct kv_topics *topics, struct kv_subscriber *subscriber,
                        const struct kv_pattern *pattern, struct kv_subscription **ret)
{
    struct kv_subscription *present = kv_topics_find(topics, subscriber, pattern);
    if (present != NULL) {
        *ret = present;
        return KV_OK;
    }
    if (subscriber->n_subscriptions + cost_of(pattern) > subscriber->max_subscriptions)
        return KV_TOO_MANY_TOPICS;
    struct kv_topic *topic = find_topic(topics, pattern);
    if (topic == NULL && (topic = create_topic(topics, pattern)) == NULL)
        return KV_FULL;
    *ret = create_subscription(topics, subscriber, topic);
    return KV_OK;
}

void kv_topics_unsubscribe(struct kv_topics *topics, struct kv_subscription *subscription)
{
    struct kv_topic *topic = subscription->topic;
    struct kv_subscriber *subscriber = subscription->subscriber;
    if (subscription->holdup != NULL)
        subscription->holdup->end(subscription->holdup);
    kv_table_remove(&topics->subscriptions, &subscription->node);
    kv_list_remove(&subscription->in_topic);
    kv_list_remove(&subscription->in_subscriber);
    subscriber->n_subscriptions -= cost_of(&topic->pattern);
    subscriber->n_prefixes -= topic->pattern.is_prefix;
    if (kv_list_is_empty(&topic->subscriptions))
        destroy_topic(topics, topic);
    free(subscription);
}

void kv_topics_unsubscribe_all(struct kv_topics *topics, struct kv_subscriber *subscriber)
{
    KV_LIST_EACH(&subscriber->subscriptions, link, after)
    kv_topics_unsubscribe(topics, KV_CONTAINER(link, struct kv_subscription, in_subscriber));
}

/* ---- telling ---- */

static bool passes(struct kv_subscription *subscription, struct kv_news *news)
{
    struct kv_holdup *holdup = subscription->holdup;
    return holdup == NULL || holdup->passes(holdup, news);
}

static void note_backlog(struct kv_subscription *subscription)
{
    const struct kv_subscriber *subscriber = subscription->subscriber;
    if (kv_subscriber_has_to_wait(subscriber))
        subscription->backlog = subscriber->n_backlogs;
}

static void tell(struct kv_topics *topics, struct kv_subscriber *subscriber, struct kv_news *news,
                 struct kv_coverage coverage)
{
    kv_subscriber_tell(subscriber, news, coverage);
    if (subscriber->has_overflowed && kv_list_is_empty(&subscriber->in_overflowed))
        kv_list_append(&topics->overflowed, &subscriber->in_overflowed);
}

static struct kv_coverage coverage_of(const struct kv_subscription *subscription)
{
    return (struct kv_coverage){.wants_meta = subscription->wants_meta,
                                .by_key = !subscription->topic->pattern.is_prefix};
}

static void tell_each(struct kv_topics *topics, const struct kv_topic *topic, struct kv_news *news)
{
    KV_LIST_EACH(&topic->subscriptions, link, after)
    {
        struct kv_subscription *one = KV_CONTAINER(link, struct kv_subscription, in_topic);
        if (!passes(one, news))
            continue;
        note_backlog(one);
        tell(topics, one->subscriber, news, coverage_of(one));
    }
}

/* Adds to the list those who are to be told, each once, with what any of its subscriptions asks. */
static void gather(struct kv_topics *topics, const struct kv_topic *topic, struct kv_news *news,
                   struct kv_list *gathered)
{
    KV_LIST_EACH(&topic->subscriptions, link, after)
    {
        struct kv_subscription *one = KV_CONTAINER(link, struct kv_subscription, in_topic);
        struct kv_subscriber *subscriber = one->subscriber;
        if (!passes(one, news))
            continue;
        note_backlog(one);
        if (subscriber->told != topics->n_told) {
            subscriber->told = topics->n_told;
            subscriber->coverage = (struct kv_coverage){0};
            kv_list_append(gathered, &subscriber->in_gathered);
        }
        struct kv_coverage coverage = coverage_of(one);
        subscriber->coverage.wants_meta |= coverage.wants_meta;
        subscriber->coverage.by_key |= coverage.by_key;
    }
}

static void note_told(const struct kv_subscription *subscription, const struct kv_news *news)
{
    if (subscription != NULL && subscription->holdup != NULL)
        subscription->holdup->told(subscription->holdup, news);
}

void kv_topics_note_told(const struct kv_topics *topics, const struct kv_subscriber *subscriber,
                         const struct kv_news *news)
{
    const struct kv_pattern key = {.text = news->key, .hash = news->hash};
    if (subscriber->n_unsynced == 0)
        return;
    note_told(kv_topics_find(topics, subscriber, &key), news);
    struct kv_prefix_walk walk = kv_prefix_tree_walk(&topics->prefixes, news->key);
    for (struct kv_topic *topic; (topic = topic_of(kv_prefix_walk_next(&walk))) != NULL;)
        note_told(kv_topics_find(topics, subscriber, &topic->pattern), news);
}

static void tell_gathered(struct kv_topics *topics, struct kv_list *gathered, struct kv_news *news)
{
    KV_LIST_EACH(gathered, link, after)
    {
        struct kv_subscriber *subscriber = KV_CONTAINER(link, struct kv_subscriber, in_gathered);
        kv_list_remove(&subscriber->in_gathered);
        tell(topics, subscriber, news, subscriber->coverage);
        kv_topics_note_told(topics, subscriber, news);
    }
}

static void tell_several(struct kv_topics *topics, const struct kv_topic *topic,
                         const struct kv_topic *next, struct kv_prefix_walk *walk,
                         struct kv_news *news)
{
    struct kv_list gathered;
    kv_list_init(&gathered);
    topics->n_told++;
    gather(topics, topic, news, &gathered);
    for (; next != NULL; next = topic_of(kv_prefix_walk_next(walk)))
        gather(topics, next, news, &gathered);
    tell_gathered(topics, &gathered, news);
}

void kv_topics_tell(struct kv_topics *topics, const struct kv_change *change)
{
    struct kv_prefix_walk walk = kv_prefix_tree_walk(&topics->prefixes, change->key);
    struct kv_topic *topic = find_key(topics, change->key, change->hash);
    if (topic == NULL && (topic = topic_of(kv_prefix_walk_next(&walk))) == NULL)
        return;
    struct kv_topic *next = topic_of(kv_prefix_walk_next(&walk));
    struct kv_news news = kv_news_of_change(change);
    if (next == NULL)
        tell_each(topics, topic, &news);
    else
        tell_several(topics, topic, next, &walk, &news);
    kv_news_fini(&news);
}

void kv_topics_tell_one(struct kv_topics *topics, struct kv_subscription *subscription,
                        struct kv_news *news)
{
    note_backlog(subscription);
    tell(topics, subscription->subscriber, news, coverage_of(subscription));
    kv_topics_note_told(topics, subscription->subscriber, news);
}

void kv_topics_hold_up(struct kv_subscription *subscription, struct kv_holdup *holdup)
{
    subscription->subscriber->n_unsynced +=
        (uint32_t)(holdup != NULL) - (uint32_t)(subscription->holdup != NULL);
    subscription->holdup = holdup;
}

/* Adds the other's `wants_meta`. Returns: whether it tells the change. */
static bool tells(const struct kv_subscription *other, const struct kv_subscription *than,
                  uint64_t revision, bool *wants_meta)
{
    if (other == NULL || other == than)
        return false;
    *wants_meta |= other->wants_meta;
    return other->told_after < revision && (other->holdup == NULL || revision <= other->told_upto);
}

bool kv_topics_tell_otherwise(const struct kv_topics *topics,
                              const struct kv_subscription *subscription,
                              const struct kv_news *news, bool *ret_wants_meta)
{
    const struct kv_subscriber *subscriber = subscription->subscriber;
    const struct kv_pattern key = {.text = news->key, .hash = news->hash};
    *ret_wants_meta = subscription->wants_meta;
    if (subscriber->n_subscriptions == 1)
        return false;
    if (tells(kv_topics_find(topics, subscriber, &key), subscription, news->revision,
              ret_wants_meta))
        return true;
    struct kv_prefix_walk walk = kv_prefix_tree_walk(&topics->prefixes, news->key);
    for (struct kv_topic *topic; (topic = topic_of(kv_prefix_walk_next(&walk))) != NULL;)
        if (tells(kv_topics_find(topics, subscriber, &topic->pattern), subscription, news->revision,
                  ret_wants_meta))
            return true;
    return false;
}

struct kv_subscriber *kv_topics_take_overflowed(struct kv_topics *topics)
{
    if (kv_list_is_empty(&topics->overflowed))
        return NULL;
    struct kv_list *first = topics->overflowed.next;
    kv_list_remove(first);
    return KV_CONTAINER(first, struct kv_subscriber, in_overflowed);
}
