#include "keyspace/subscribing.h"

#include "base/mem.h"
#include "keyspace/admission.h"
#include "keyspace/resets.h"

static struct kv_pattern pattern_of(const struct kv_command *command)
{
    return (struct kv_pattern){
        .text = command->key, .hash = command->hash, .is_prefix = command->subscribe.is_prefix};
}

static bool asks_for_revisions(const struct kv_command *command)
{
    const struct kv_subscribe *subscribe = &command->subscribe;
    return subscribe->wants_meta || subscribe->initial || subscribe->has_since;
}

bool kv_subscribing_waits(struct kv_command *command, struct kv_subscriber *subscriber)
{
    const struct kv_pattern pattern = pattern_of(command);
    const struct kv_subscribe *options = &command->subscribe;
    if (command->kind == KV_COMMAND_SUBSCRIBE && !options->initial && !options->has_since)
        return false;
    const struct kv_subscription *present =
        kv_topics_find(&command->home->topics, subscriber, &pattern);
    if (present == NULL || !kv_topics_is_relied_on(present))
        return false;
    kv_order_await_feed(command->order, command->commands);
    return true;
}

/* Begins the subscription as the command asks; an existing one continues with other options. */
static void begin(const struct kv_command *command, struct kv_subscriber *subscriber,
                  struct kv_subscription *subscription)
{
    struct kv_keyspace_loop *here = command->home;
    const struct kv_subscribe *options = &command->subscribe;
    subscription->wants_meta = options->wants_meta;
    if (asks_for_revisions(command))
        kv_subscribing_let_resume(here, subscriber);
    if (options->has_since && kv_slice_equals(command->argument, kv_slice_of(here->syncs.epoch)))
        kv_syncs_begin_since(&here->syncs, subscription, options->since);
    else if (options->has_since)
        kv_reset(&here->syncs, subscription);
    else if (options->initial)
        kv_syncs_begin_initial(&here->syncs, subscription);
    else if (subscription->told_after == KV_REVISION_MAX && subscription->holdup == NULL &&
             kv_store_is_ready(here->store))
        subscription->told_after = kv_feed_delivered_upto(&here->inbox);
}

static int subscribe(const struct kv_command *command, struct kv_subscriber *subscriber,
                     const struct kv_principal *principal)
{
    const struct kv_pattern pattern = pattern_of(command);
    struct kv_subscription *subscription;
    if (!kv_admission_allows_subscription(principal, command->key))
        return KV_FORBIDDEN; /* it was allowed when the command was sent */
    if (asks_for_revisions(command) && !kv_store_is_ready(command->home->store))
        return KV_NOT_OPEN;
    int status = kv_topics_subscribe(&command->home->topics, subscriber, &pattern, &subscription);
    if (status == KV_OK)
        begin(command, subscriber, subscription);
    return status;
}

static int unsubscribe(const struct kv_command *command, struct kv_subscriber *subscriber)
{
    struct kv_topics *topics = &command->home->topics;
    const struct kv_pattern pattern = pattern_of(command);
    struct kv_subscription *subscription = kv_topics_find(topics, subscriber, &pattern);
    if (subscription != NULL)
        kv_topics_unsubscribe(topics, subscription);
    return KV_OK;
}

int kv_subscribing_run(const struct kv_command *command, struct kv_subscriber *subscriber,
                       const struct kv_principal *principal)
{
    return command->kind == KV_COMMAND_SUBSCRIBE ? subscribe(command, subscriber, principal)
                                                 : unsubscribe(command, subscriber);
}

void kv_subscribing_let_resume(struct kv_keyspace_loop *here, struct kv_subscriber *subscriber)
{
    if (!subscriber->may_resume)
        kv_log_reads_join(&here->log_reads);
    subscriber->may_resume = true;
}

static void end_forbidden(struct kv_keyspace_loop *here, struct kv_subscriber *subscriber,
                          const struct kv_principal *principal)
{
    KV_LIST_EACH(&subscriber->subscriptions, link, after)
    {
        struct kv_subscription *one = KV_CONTAINER(link, struct kv_subscription, in_subscriber);
        const struct kv_pattern *pattern = &one->topic->pattern;
        if (kv_admission_allows_subscription(principal, pattern->text))
            continue;
        subscriber->ops->on_failed(subscriber, pattern, KV_FORBIDDEN);
        kv_topics_unsubscribe(&here->topics, one);
    }
}

/* The backlog may have states from subscriptions that have ended. */
static void drop_forbidden(struct kv_subscriber *subscriber, const struct kv_principal *principal)
{
    struct kv_backlog *behind = &subscriber->behind;
    KV_LIST_EACH(&behind->in_order, link, after)
    {
        struct kv_behind *one = KV_CONTAINER(link, struct kv_behind, in_order);
        if (!kv_admission_allows_subscription(principal, one->kept->news.key))
            kv_backlog_remove(behind, one);
    }
}

void kv_subscribing_restrict(struct kv_keyspace_loop *here, struct kv_subscriber *subscriber,
                             const struct kv_principal *principal)
{
    if (principal->is_unlimited)
        return;
    if (subscriber->n_subscriptions != 0)
        end_forbidden(here, subscriber, principal);
    if (kv_subscriber_is_behind(subscriber))
        drop_forbidden(subscriber, principal);
}

void kv_subscribing_end(struct kv_keyspace_loop *here, struct kv_subscriber *subscriber)
{
    kv_topics_unsubscribe_all(&here->topics, subscriber);
    kv_subscriber_close(subscriber);
    if (subscriber->may_resume)
        kv_log_reads_leave(&here->log_reads);
    subscriber->may_resume = false;
}
