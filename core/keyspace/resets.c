#include "keyspace/resets.h"

#include "base/mem.h"
#include "keyspace/snapshot.h"

/* The subscription before its reset, on which others may have relied. */
struct past {
    uint64_t told_after;
    bool has_claimed;
};

static struct past give_up(struct kv_subscription *subscription)
{
    const struct past past = {.told_after = subscription->told_after,
                              .has_claimed = kv_subscription_is_replayed(subscription) &&
                                             subscription->has_claimed};
    if (subscription->holdup != NULL)
        subscription->holdup->end(subscription->holdup);
    subscription->told_after = KV_REVISION_MAX;
    return past;
}

/* A replay relies on subscriptions that are owed as much; any subscription relies on a replay that
 * has claimed changes. */
static bool relied_on(const struct kv_subscription *other, struct past past)
{
    return past.has_claimed ||
           (kv_subscription_is_replayed(other) && past.told_after <= other->told_after);
}

/* Each replay is given up once, so the recursion ends. */
static void reset_others(struct kv_syncs *syncs, struct kv_subscription *subscription,
                         struct past past)
{
    struct kv_subscriber *subscriber = subscription->subscriber;
    if (!past.has_claimed && kv_heap_first(&subscriber->replays) == NULL)
        return;
    KV_LIST_EACH(&subscriber->subscriptions, link, after)
    {
        struct kv_subscription *other = KV_CONTAINER(link, struct kv_subscription, in_subscriber);
        if (other != subscription && relied_on(other, past) &&
            kv_subscriptions_overlap(subscription, other))
            kv_reset(syncs, other);
    }
}

void kv_reset(struct kv_syncs *syncs, struct kv_subscription *subscription)
{
    struct past past = give_up(subscription);
    kv_snapshot_begin(syncs, subscription, true);
    reset_others(syncs, subscription, past);
}

void kv_reset_failed(struct kv_syncs *syncs, struct kv_subscription *subscription, int status)
{
    struct kv_subscriber *subscriber = subscription->subscriber;
    struct past past = give_up(subscription);
    subscriber->ops->on_failed(subscriber, &subscription->topic->pattern, status);
    reset_others(syncs, subscription, past);
    kv_topics_unsubscribe(syncs->topics, subscription);
}
