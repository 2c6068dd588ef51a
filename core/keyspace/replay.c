/*
 * While a next page will bring them, new changes are passed over. A commit that was under way when
 * the subscription began may have found that nobody was interested; its revision was given out
 * already. So the replay goes on at least as far as revisions had been given out.
 */
#include "keyspace/replay.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "keyspace/snapshot.h"

enum {
    PAGE_BYTES = 256 << 10
};

enum state {
    BEGINS,
    READS,
    HAS_REACHED, /* new changes are told */
};

struct replay {
    struct kv_sync sync;
    enum state state;
    uint64_t upto; /* everything up to this one has been sent */
    struct kv_log_read *read;
};

static struct replay *of(struct kv_sync *sync)
{
    return KV_CONTAINER(sync, struct replay, sync);
}

static struct replay *of_holdup(struct kv_holdup *holdup)
{
    return of(KV_CONTAINER(holdup, struct kv_sync, holdup));
}

static bool passes(struct kv_holdup *self, struct kv_news *news)
{
    const struct replay *replay = of_holdup(self);
    return replay->state == HAS_REACHED && news->revision > replay->upto;
}

/* It finds out by itself (kv_topics_tell_otherwise). */
static void told(struct kv_holdup *self, const struct kv_news *news)
{
    (void)self;
    (void)news;
}

static void destroy(struct replay *replay)
{
    if (replay->read != NULL)
        kv_log_read_close(replay->read);
    kv_sync_fini(&replay->sync);
    free(replay);
}

static void end(struct kv_holdup *self)
{
    destroy(of_holdup(self));
}

static void reset(struct replay *replay)
{
    struct kv_syncs *syncs = replay->sync.syncs;
    struct kv_subscription *subscription = replay->sync.subscription;
    destroy(replay);
    kv_snapshot_begin(syncs, subscription, true);
}

static void send(struct replay *replay, const struct kv_log_entry *entry)
{
    struct kv_subscription *subscription = replay->sync.subscription;
    bool wants_meta;
    struct kv_news news = {.key = entry->key,
                           .hash = kv_hash(entry->key),
                           .reason = entry->reason,
                           .revision = entry->revision,
                           .state = entry->after};
    if (!kv_topics_tell_otherwise(replay->sync.syncs->topics, subscription, &news, &wants_meta))
        kv_subscriber_send(subscription->subscriber, &news, wants_meta);
    subscription->told_upto = entry->revision;
    kv_news_fini(&news);
}

static void take_page(struct replay *replay)
{
    const struct kv_log_read *read = replay->read;
    for (uint32_t i = 0; i < read->n; i++)
        send(replay, &read->entries[i]);
    replay->upto = read->upto;
    bool has_reached =
        read->is_last && replay->upto >= kv_feed_delivered_upto(replay->sync.syncs->inbox);
    replay->state = has_reached ? HAS_REACHED : BEGINS;
    if (has_reached) {
        replay->sync.subscription->told_upto = KV_REVISION_MAX;
        kv_sync_begin_end(&replay->sync, replay->upto);
    }
    kv_sync_make_ready(&replay->sync);
}

static void on_page(struct kv_log_read *read)
{
    struct replay *replay = read->owner;
    kv_sync_end_reading(&replay->sync);
    if (read->status == KV_OK)
        take_page(replay);
    else if (read->status == KV_TRIMMED)
        reset(replay);
    else
        kv_sync_fail(&replay->sync, read->status);
}

/* Returns: whether it is open. */
static bool open_read(struct replay *replay)
{
    const struct kv_pattern *pattern = kv_sync_pattern(&replay->sync);
    if (replay->read == NULL)
        replay->read = kv_log_read_open(replay->sync.syncs->log_reads, replay->upto, pattern->text,
                                        pattern->is_prefix, replay, on_page);
    return replay->read != NULL;
}

static void read_page(struct replay *replay)
{
    if (!kv_sync_is_delivered(&replay->sync))
        return;
    if (!open_read(replay)) {
        kv_sync_fail(&replay->sync, KV_FULL);
        return;
    }
    if (!kv_sync_begin_reading(&replay->sync))
        return;
    replay->state = READS;
    kv_log_read_next(replay->read, PAGE_BYTES);
}

static void advance(struct kv_sync *self)
{
    struct replay *replay = of(self);
    switch (replay->state) {
    case BEGINS:
        read_page(replay);
        break;
    case READS:
        break;
    case HAS_REACHED:
        if (kv_sync_end(self))
            destroy(replay);
        break;
    }
}

void kv_replay_begin(struct kv_syncs *syncs, struct kv_subscription *subscription, uint64_t after)
{
    struct replay *replay = kv_calloc(1, sizeof(*replay));
    replay->sync.advance = advance;
    replay->sync.holdup = (struct kv_holdup){.passes = passes, .told = told, .end = end};
    replay->upto = after;
    subscription->told_after = after;
    subscription->told_upto = after;
    replay->sync.awaited = kv_watermark_newest(&syncs->inbox->feed->watermark);
    kv_sync_init(&replay->sync, syncs, subscription);
}
