/*
 * A replay sends only changes that the feed has delivered: so it knows of each whether another
 * subscription has told it. When it has sent them all, the subscription is live: the feed brings
 * the next ones. A commit that was under way when the subscription began may have found no
 * interest; its revision had been given out already. So nothing is read until the feed has reached
 * the newest revision of that moment.
 */
#include "keyspace/replay.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "keyspace/resets.h"

enum {
    PAGE_BYTES = 256 << 10
};

enum state {
    BEGINS,
    READS,
    HAS_REACHED, /* the subscription is live */
};

struct replay {
    struct kv_sync sync;
    enum state state;
    uint64_t upto; /* everything up to this revision has been sent */
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

static void destroy(struct replay *replay)
{
    if (replay->read != NULL)
        kv_log_read_close(replay->read);
    kv_sync_end_replay(&replay->sync);
    kv_sync_fini(&replay->sync);
    free(replay);
}

static void end(struct kv_holdup *self)
{
    destroy(of_holdup(self));
}

static void send(struct replay *replay, const struct kv_log_entry *entry)
{
    struct kv_news news = {.key = entry->key,
                           .hash = kv_hash(entry->key),
                           .reason = entry->reason,
                           .revision = entry->revision,
                           .state = entry->after};
    kv_topics_tell_replayed(replay->sync.syncs->topics, replay->sync.subscription, &news);
    kv_news_fini(&news);
}

static void take_page(struct replay *replay)
{
    const struct kv_log_read *read = replay->read;
    uint64_t delivered = kv_feed_delivered_upto(replay->sync.syncs->inbox);
    for (uint32_t i = 0; i < read->n && read->entries[i].revision <= delivered; i++)
        send(replay, &read->entries[i]);
    bool has_reached = read->upto >= delivered;
    replay->upto = has_reached ? delivered : read->upto;
    replay->state = has_reached ? HAS_REACHED : BEGINS;
    if (has_reached) {
        kv_sync_end_replay(&replay->sync);
        kv_sync_begin_end(&replay->sync, delivered);
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
        kv_reset(replay->sync.syncs, replay->sync.subscription);
    else
        kv_reset_failed(replay->sync.syncs, replay->sync.subscription, read->status);
}

/* Returns: whether the reader is open. */
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
        kv_reset_failed(replay->sync.syncs, replay->sync.subscription, KV_FULL);
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
    replay->sync.holdup = (struct kv_holdup){.end = end};
    replay->upto = after;
    kv_topics_begin_replay(syncs->topics, subscription, after);
    kv_counts_sync(syncs->counts, KV_SYNC_RESUMED);
    replay->sync.awaited = kv_watermark_newest(&syncs->inbox->feed->watermark);
    kv_sync_init(&replay->sync, syncs, subscription);
}
