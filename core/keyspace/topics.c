/*
 * A table of the keys that are subscribed to, and a tree of the prefixes, each with the list of its
 * subscriptions. Invariant: while a topic exists, its loop is registered as interested in it, so
 * that the feed brings the changes here.
 *
 * Most changes match at most one topic, whose subscriptions belong to different subscribers. If a
 * change matches several, their subscribers are gathered first.
 */
#include "keyspace/topics.h"

#include <stdlib.h>

#include "base/mem.h"

void kv_topics_init(struct kv_topics *topics, struct kv_interests *interests, uint32_t loop,
                    struct kv_counts *counts)
{
    *topics = (struct kv_topics){.counts = counts};
    kv_loop_interests_init(&topics->interests, interests, loop);
    kv_list_init(&topics->overflowed);
    kv_list_init(&topics->lost);
}

void kv_topics_fini(struct kv_topics *topics)
{
    kv_table_fini(&topics->keys);
    kv_table_fini(&topics->subscriptions);
    kv_loop_interests_fini(&topics->interests);
}

static bool covers(const struct kv_pattern *pattern, struct kv_slice key)
{
    return pattern->is_prefix ? kv_slice_has_prefix(key, pattern->text)
                              : kv_slice_equals(key, pattern->text);
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

/* Memory of subscriptions. It is counted once for all subscriptions of a topic, and for each
 * subscriber as if it did not share the topic. */

enum {
    TABLE_BYTES = 64 /* of tables, for each topic and subscriber, approximately */
};

static size_t topic_bytes(const struct kv_pattern *pattern)
{
    return sizeof(struct kv_topic) + pattern->text.len + TABLE_BYTES;
}

static size_t bytes_of(const struct kv_pattern *pattern)
{
    return sizeof(struct kv_subscription) + TABLE_BYTES + topic_bytes(pattern);
}

/* Every connection may have some subscriptions. Beyond that, a part of the budget is reserved for
 * others. */
static bool has_memory(const struct kv_subscriber *subscriber, const struct kv_pattern *pattern)
{
    size_t bytes = bytes_of(pattern);
    return subscriber->subscribed_bytes + bytes <= KV_TALLY_FLOOR ||
           kv_tally_spare(subscriber->room->tally) >= bytes;
}

static void count_subscription(const struct kv_subscription *subscription, int64_t change)
{
    const struct kv_pattern *pattern = &subscription->topic->pattern;
    struct kv_subscriber *subscriber = subscription->subscriber;
    bool is_only =
        subscription->topic->subscriptions.next->next == &subscription->topic->subscriptions;
    size_t own = bytes_of(pattern) - topic_bytes(pattern);
    subscriber->subscribed_bytes += (size_t)(change * (int64_t)bytes_of(pattern));
    kv_tally_add(subscriber->room->tally, change * (int64_t)(is_only ? bytes_of(pattern) : own));
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

static struct kv_counter *counter_of(struct kv_topics *topics, const struct kv_topic *topic)
{
    return topic->pattern.is_prefix ? &topics->counts->prefix_subscriptions
                                    : &topics->counts->key_subscriptions;
}

static struct kv_subscription *create_subscription(struct kv_topics *topics,
                                                   struct kv_subscriber *subscriber,
                                                   struct kv_topic *topic)
{
    struct kv_subscription *subscription = kv_calloc(1, sizeof(*subscription));
    subscription->topic = topic;
    subscription->subscriber = subscriber;
    subscription->told_after = KV_REVISION_MAX;
    subscription->number = subscriber->n_begun++;
    kv_table_insert(&topics->subscriptions, &subscription->node,
                    hash_of_pair(subscriber, &topic->pattern));
    kv_list_append(&topic->subscriptions, &subscription->in_topic);
    kv_list_append(&subscriber->subscriptions, &subscription->in_subscriber);
    subscriber->n_subscriptions += cost_of(&topic->pattern);
    subscriber->n_prefixes += topic->pattern.is_prefix;
    count_subscription(subscription, 1);
    kv_counter_add(counter_of(topics, topic), 1);
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
    if (!has_memory(subscriber, pattern))
        return KV_CROWDED;
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
    count_subscription(subscription, -1);
    kv_table_remove(&topics->subscriptions, &subscription->node);
    kv_list_remove(&subscription->in_topic);
    kv_list_remove(&subscription->in_subscriber);
    subscriber->n_subscriptions -= cost_of(&topic->pattern);
    subscriber->n_prefixes -= topic->pattern.is_prefix;
    kv_counter_take(counter_of(topics, topic), 1);
    if (kv_list_is_empty(&topic->subscriptions))
        destroy_topic(topics, topic);
    free(subscription);
}

void kv_topics_unsubscribe_all(struct kv_topics *topics, struct kv_subscriber *subscriber)
{
    KV_LIST_EACH(&subscriber->subscriptions, link, after)
    kv_topics_unsubscribe(topics, KV_CONTAINER(link, struct kv_subscription, in_subscriber));
}

/* ---- the subscriptions of one subscriber that cover a key ---- */

struct covering {
    const struct kv_topics *topics;
    const struct kv_subscriber *subscriber;
    struct kv_pattern key;
    struct kv_prefix_walk prefixes;
    bool has_begun;
};

static struct covering covering(const struct kv_topics *topics,
                                const struct kv_subscriber *subscriber, const struct kv_news *news)
{
    return (struct covering){.topics = topics,
                             .subscriber = subscriber,
                             .key = {.text = news->key, .hash = news->hash},
                             .prefixes = kv_prefix_tree_walk(&topics->prefixes, news->key)};
}

/* Returns: NULL at the end. */
static struct kv_subscription *next_covering(struct covering *covering)
{
    struct kv_subscription *found = NULL;
    if (!covering->has_begun)
        found = kv_topics_find(covering->topics, covering->subscriber, &covering->key);
    covering->has_begun = true;
    struct kv_topic *topic;
    while (found == NULL && (topic = topic_of(kv_prefix_walk_next(&covering->prefixes))) != NULL)
        found = kv_topics_find(covering->topics, covering->subscriber, &topic->pattern);
    return found;
}

/* ---- telling ---- */

static bool asks_holdup(const struct kv_subscription *subscription)
{
    return subscription->holdup != NULL && subscription->holdup->passes != NULL;
}

/* Whether its changes are told when the feed delivers them. */
static bool is_live(const struct kv_subscription *subscription)
{
    return !asks_holdup(subscription) && !kv_subscription_is_replayed(subscription);
}

static bool passes(struct kv_subscription *subscription, struct kv_news *news)
{
    if (asks_holdup(subscription))
        return subscription->holdup->passes(subscription->holdup, news);
    return !kv_subscription_is_replayed(subscription);
}

/* The subscription relies on the backlog that the subscriber's next waiting state will join. */
static void note_backlog(struct kv_subscription *subscription)
{
    const struct kv_subscriber *subscriber = subscription->subscriber;
    if (kv_subscriber_has_to_wait(subscriber))
        subscription->backlog = kv_subscriber_next_backlog(subscriber);
}

static void tell(struct kv_topics *topics, struct kv_subscriber *subscriber, struct kv_news *news,
                 struct kv_coverage coverage)
{
    kv_subscriber_tell(subscriber, news, coverage);
    if (subscriber->has_overflowed && kv_list_is_empty(&subscriber->in_overflowed))
        kv_list_append(&topics->overflowed, &subscriber->in_overflowed);
}

static void cover(struct kv_coverage *coverage, const struct kv_subscription *subscription)
{
    coverage->wants_meta |= subscription->wants_meta;
    coverage->by_key |= !subscription->topic->pattern.is_prefix;
}

static void tell_each(struct kv_topics *topics, const struct kv_topic *topic, struct kv_news *news)
{
    KV_LIST_EACH(&topic->subscriptions, link, after)
    {
        struct kv_subscription *one = KV_CONTAINER(link, struct kv_subscription, in_topic);
        if (!passes(one, news))
            continue;
        struct kv_coverage coverage = {0};
        cover(&coverage, one);
        note_backlog(one);
        tell(topics, one->subscriber, news, coverage);
    }
}

static void note_told(const struct kv_topics *topics, const struct kv_subscriber *subscriber,
                      struct kv_news *news)
{
    if (subscriber->n_unsynced == 0)
        return;
    struct covering each = covering(topics, subscriber, news);
    for (struct kv_subscription *one; (one = next_covering(&each)) != NULL;)
        if (asks_holdup(one))
            one->holdup->told(one->holdup, news);
}

/* Whether the first of two is owed more, or as much and began first: then it tells the change. */
static bool comes_before(const struct kv_subscription *one, const struct kv_subscription *other)
{
    if (one->told_after != other->told_after)
        return one->told_after < other->told_after;
    return one->number < other->number;
}

static void begin_gathering(struct kv_subscriber *subscriber, uint64_t n_told)
{
    subscriber->told = n_told;
    subscriber->coverage = (struct kv_coverage){0};
    subscriber->live = NULL;
    subscriber->claim = NULL;
}

static void gather_one(struct kv_subscriber *subscriber, struct kv_subscription *one,
                       const struct kv_news *news)
{
    cover(&subscriber->coverage, one);
    note_backlog(one);
    if (is_live(one) && (subscriber->live == NULL || comes_before(one, subscriber->live)))
        subscriber->live = one;
    if (kv_subscription_is_replayed(one) && one->told_after < news->revision &&
        (subscriber->claim == NULL || comes_before(one, subscriber->claim)))
        subscriber->claim = one;
}

/* Adds the topic's subscribers to the list, each once. */
static void gather(const struct kv_topics *topics, const struct kv_topic *topic,
                   const struct kv_news *news, struct kv_list *gathered)
{
    KV_LIST_EACH(&topic->subscriptions, link, after)
    {
        struct kv_subscription *one = KV_CONTAINER(link, struct kv_subscription, in_topic);
        struct kv_subscriber *subscriber = one->subscriber;
        if (subscriber->told != topics->n_told) {
            begin_gathering(subscriber, topics->n_told);
            kv_list_append(gathered, &subscriber->in_gathered);
        }
        gather_one(subscriber, one, news);
    }
}

/* Whether the change is left to a replay, because that comes before those that would tell it. */
static bool is_left(struct kv_subscription *claim, const struct kv_subscription *live)
{
    if (claim == NULL || (live != NULL && !comes_before(claim, live)))
        return false;
    claim->has_claimed = true;
    return true;
}

/* For a key without a live subscription. Asks all holdups that cover it. */
static bool some_passes(const struct kv_topics *topics, const struct kv_subscriber *subscriber,
                        struct kv_news *news)
{
    bool some_passes = false;
    struct covering each = covering(topics, subscriber, news);
    for (struct kv_subscription *one; (one = next_covering(&each)) != NULL;)
        some_passes |= passes(one, news);
    return some_passes;
}

static void tell_gathered(struct kv_topics *topics, struct kv_subscriber *subscriber,
                          struct kv_news *news)
{
    if (is_left(subscriber->claim, subscriber->live))
        return;
    if (subscriber->live == NULL && !some_passes(topics, subscriber, news))
        return;
    tell(topics, subscriber, news, subscriber->coverage);
    note_told(topics, subscriber, news);
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
    KV_LIST_EACH(&gathered, link, after)
    {
        kv_list_remove(link);
        tell_gathered(topics, KV_CONTAINER(link, struct kv_subscriber, in_gathered), news);
    }
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

/* If a replay covers the change, the replay tells it. */
void kv_topics_tell_one(struct kv_topics *topics, struct kv_subscription *subscription,
                        struct kv_news *news)
{
    struct kv_subscriber *subscriber = subscription->subscriber;
    begin_gathering(subscriber, 0);
    struct covering each = covering(topics, subscriber, news);
    for (struct kv_subscription *one; (one = next_covering(&each)) != NULL;)
        gather_one(subscriber, one, news);
    if (is_left(subscriber->claim, NULL))
        return;
    tell(topics, subscriber, news, subscriber->coverage);
    note_told(topics, subscriber, news);
}

void kv_topics_hold_up(struct kv_subscription *subscription, struct kv_holdup *holdup)
{
    subscription->subscriber->n_unsynced +=
        (uint32_t)(holdup != NULL) - (uint32_t)(subscription->holdup != NULL);
    subscription->holdup = holdup;
}

/* ---- replays ---- */

/* Whether another subscription tells the changes that both cover and that the replay reaches. */
static bool tells_for(struct kv_subscription *other, const struct kv_subscription *replayed)
{
    if (other == replayed || asks_holdup(other) || !comes_before(other, replayed))
        return false;
    other->has_claimed = true;
    return true;
}

/* Whether any other subscription does. *ret_coverage: of all of them; *ret_n: their number. */
static bool is_told_otherwise(const struct kv_topics *topics,
                              const struct kv_subscription *replayed, const struct kv_news *news,
                              struct kv_coverage *ret_coverage, uint32_t *ret_n)
{
    bool is_told = false;
    struct covering each = covering(topics, replayed->subscriber, news);
    *ret_n = 0;
    for (struct kv_subscription *one; (one = next_covering(&each)) != NULL; ++*ret_n) {
        cover(ret_coverage, one);
        is_told |= tells_for(one, replayed);
    }
    return is_told;
}

void kv_topics_tell_replayed(const struct kv_topics *topics, struct kv_subscription *subscription,
                             struct kv_news *news)
{
    struct kv_subscriber *subscriber = subscription->subscriber;
    struct kv_coverage coverage = {0};
    uint32_t n_covering;
    if (is_told_otherwise(topics, subscription, news, &coverage, &n_covering)) {
        if (kv_subscriber_is_behind(subscriber)) /* it may be in the backlog, to be told */
            subscription->backlog = kv_subscriber_next_backlog(subscriber);
        return;
    }
    subscription->has_claimed |= n_covering > 1;
    kv_subscriber_supersede(subscriber, news->key, news->hash, news->revision);
    kv_subscriber_send(subscriber, news, coverage.wants_meta);
    note_told(topics, subscriber, news);
}

static void drop_behind(const struct kv_topics *topics, struct kv_subscription *subscription)
{
    const struct kv_pattern *pattern = &subscription->topic->pattern;
    struct kv_backlog *behind = &subscription->subscriber->behind;
    KV_LIST_EACH(&behind->in_order, link, after)
    {
        struct kv_behind *one = KV_CONTAINER(link, struct kv_behind, in_order);
        const struct kv_news *news = &one->kept->news;
        struct kv_coverage coverage = {0};
        uint32_t n;
        if (!covers(pattern, news->key) || news->revision <= subscription->told_after ||
            is_told_otherwise(topics, subscription, news, &coverage, &n))
            continue;
        kv_backlog_remove(behind, one);
        subscription->has_claimed = true;
    }
}

void kv_topics_begin_replay(const struct kv_topics *topics, struct kv_subscription *subscription,
                            uint64_t after)
{
    struct kv_subscriber *subscriber = subscription->subscriber;
    subscription->told_after = after;
    subscription->has_claimed = false;
    subscription->number = subscriber->n_begun++;
    kv_heap_put(&subscriber->replays, &subscription->in_replays, (int64_t)after);
    drop_behind(topics, subscription);
}

void kv_topics_end_replay(struct kv_subscription *subscription)
{
    kv_heap_remove(&subscription->subscriber->replays, &subscription->in_replays);
}

bool kv_subscriptions_overlap(const struct kv_subscription *one,
                              const struct kv_subscription *other)
{
    const struct kv_pattern *a = &one->topic->pattern;
    const struct kv_pattern *b = &other->topic->pattern;
    return covers(a, b->text) || covers(b, a->text);
}

bool kv_topics_is_relied_on(const struct kv_subscription *subscription)
{
    const struct kv_subscriber *subscriber = subscription->subscriber;
    if (kv_heap_first(&subscriber->replays) == NULL)
        return false;
    if (kv_subscription_is_replayed(subscription) && subscription->has_claimed)
        return true;
    KV_LIST_EACH(&subscriber->subscriptions, link, after)
    {
        struct kv_subscription *other = KV_CONTAINER(link, struct kv_subscription, in_subscriber);
        if (other != subscription && kv_subscription_is_replayed(other) &&
            subscription->told_after <= other->told_after &&
            kv_subscriptions_overlap(subscription, other))
            return true;
    }
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

void kv_topics_lose_all(struct kv_topics *topics)
{
    const struct kv_table *table = &topics->subscriptions;
    for (size_t i = 0; i < table->n_buckets; i++)
        for (const struct kv_table_node *node = table->buckets[i]; node != NULL;
             node = node->next) {
            struct kv_subscriber *subscriber =
                KV_CONTAINER((uintptr_t)node, struct kv_subscription, node)->subscriber;
            if (kv_list_is_empty(&subscriber->in_lost))
                kv_list_append(&topics->lost, &subscriber->in_lost);
        }
}

struct kv_subscriber *kv_topics_take_lost(struct kv_topics *topics)
{
    if (kv_list_is_empty(&topics->lost))
        return NULL;
    struct kv_list *first = topics->lost.next;
    kv_list_remove(first);
    return KV_CONTAINER(first, struct kv_subscriber, in_lost);
}
