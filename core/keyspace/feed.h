/*
 * The feed: changes on their way from the store's commits to the loops that want them. Where the
 * order of the store's changes is known (watermark.h), a loop delivers those of all keys in the
 * order of their revisions.
 */
#ifndef KV_KEYSPACE_FEED_H
#define KV_KEYSPACE_FEED_H

#include "base/inbox.h"
#include "keyspace/change_log.h"
#include "keyspace/parts.h"
#include "keyspace/topics.h"
#include "keyspace/touches.h"
#include "keyspace/watches.h"
#include "keyspace/watermark.h"

struct kv_feed_inbox;

/* Of all loops. */
struct kv_feed {
    const struct kv_store_link *store;
    const struct kv_keyspace_parts *parts;
    struct kv_interests interests;
    struct kv_watermark watermark;
    struct kv_change_log log;
    struct kv_touches touches; /* what is no change */
    struct kv_counter resyncs; /* under the store's lock, as changes are */
    bool has_observers;        /* other than those that are everywhere */
    bool tells_observers;      /* these: the store does not show them changes (KV_STORE_SHOWS) */
    bool has_witnesses;        /* observers that are everywhere */
    atomic_bool
        is_ending; /* the loops have ended: no change is told any more, and nothing expires */
    struct kv_feed_inbox *inboxes[KV_KEYSPACE_MAX_LOOPS];
};

/* One loop's end of it. */
struct kv_feed_inbox {
    struct kv_feed *feed;
    struct kv_keyspace_loop *here; /* for observers */
    struct kv_loop *loop;
    struct kv_topics *topics;
    struct kv_watches *watches;
    void (*on_resync)(struct kv_keyspace_loop *here);
    uint32_t index;
    struct kv_inbox records;
    struct kv_list held;    /* taken from there and not delivered, by revision */
    uint64_t delivered;     /* every change up to this one has been */
    _Atomic uint64_t bytes; /* of the records, held ones included */
};

void kv_feed_init(struct kv_feed *feed, const struct kv_store_link *store,
                  const struct kv_keyspace_parts *parts);
void kv_feed_fini(struct kv_feed *feed);

/* `topics`, `watches`: of the loop with this index. `on_resync` is left to be filled in. */
void kv_feed_inbox_init(struct kv_feed_inbox *inbox, struct kv_feed *feed, uint32_t index,
                        struct kv_topics *topics, struct kv_watches *watches,
                        struct kv_keyspace_loop *here);
void kv_feed_inbox_fini(struct kv_feed_inbox *inbox);

/* The store tells a change, at its commit point. Threads: any. */
void kv_feed_changed(struct kv_feed *feed, const struct kv_change *change);
/* The same, for a change that is for no observers of this server but those that are everywhere. */
void kv_feed_changed_elsewhere(struct kv_feed *feed, const struct kv_change *change);

/* The store has missed or lost changes: each loop calls on_resync() when it has delivered those
 * told so far. Threads: those that tell changes, in order with them. */
void kv_feed_resync(struct kv_feed *feed);

/* Delivers to subscribers and observers what has arrived and is known to be next. The loop is woken
 * for the rest. Returns: whether anything was delivered. */
bool kv_feed_deliver(struct kv_feed_inbox *inbox);

/* Every change up to this revision that this loop wanted when it happened has been delivered. It
 * rises with kv_feed_deliver(), and by itself while no change is on its way here. Not within
 * on_change. Returns: 0 where the order is not known. */
uint64_t kv_feed_delivered_upto(struct kv_feed_inbox *inbox);

/* The revisions of the changes that are held back. Returns: 0 where there are none. */
uint64_t kv_feed_oldest_held(const struct kv_feed_inbox *inbox);
uint64_t kv_feed_newest_held(const struct kv_feed_inbox *inbox);

/* Some loop is behind by more than a loop should be: nothing is submitted for now. Sequentially
 * consistent, as a loop looks here before it sleeps. */
bool kv_feed_is_congested(const struct kv_feed *feed);

/* Whether everything has been delivered, on all loops. Threads: any. */
bool kv_feed_is_quiet(const struct kv_feed *feed);

/* Nothing is told, and nothing expires, from now on. Threads: any. */
void kv_feed_end(struct kv_feed *feed);
bool kv_feed_is_ending(const struct kv_feed *feed);

#endif
