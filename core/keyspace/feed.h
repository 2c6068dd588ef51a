/*
 * The feed carries changes from the store's commits to the loops that want them. If the order of
 * the store's changes is known (watermark.h), a loop delivers the changes of all keys in the order
 * of their revisions.
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
    struct kv_touches touches; /* writes that are no changes */
    struct kv_counter resyncs; /* counted under the store's lock, like changes */
    bool has_observers;        /* other than those with is_everywhere */
    bool tells_observers; /* other than those with is_everywhere, and the store does not show them
                             changes (KV_STORE_SHOWS) */
    bool has_witnesses;   /* observers with is_everywhere */
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
    struct kv_list held;    /* taken from the inbox and not delivered, by revision */
    uint64_t delivered;     /* every change up to this one has been delivered */
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

/* The store reports a change, at its commit point. Threads: any. */
void kv_feed_changed(struct kv_feed *feed, const struct kv_change *change);
/* The same, for a change that only those observers of this server see that have is_everywhere. */
void kv_feed_changed_elsewhere(struct kv_feed *feed, const struct kv_change *change);

/* The store has missed or lost changes: each loop calls on_resync() when it has delivered the
 * changes reported before. Threads: those that report changes, in order with them. */
void kv_feed_resync(struct kv_feed *feed);

/* Delivers to subscribers and observers the changes that have arrived and are next in order. The
 * loop is woken for the rest. Returns: whether anything was delivered. */
bool kv_feed_deliver(struct kv_feed_inbox *inbox);

/* The revision up to which every change that this loop wanted when it happened has been delivered.
 * It rises with kv_feed_deliver(), and by itself while no change is on its way here. Not within
 * on_change. Returns: 0 if the order is not known. */
uint64_t kv_feed_delivered_upto(struct kv_feed_inbox *inbox);

/* The lowest and the highest revision of the changes that are held back. Return: 0 if there are
 * none. */
uint64_t kv_feed_oldest_held(const struct kv_feed_inbox *inbox);
uint64_t kv_feed_newest_held(const struct kv_feed_inbox *inbox);

/* Whether some loop is too far behind: then nothing is submitted for now. Sequentially consistent,
 * as loops check it before they sleep. */
bool kv_feed_is_congested(const struct kv_feed *feed);

/* Whether everything has been delivered, on all loops. Threads: any. */
bool kv_feed_is_quiet(const struct kv_feed *feed);

/* Ends the reporting of changes, and expiry. Threads: any. */
void kv_feed_end(struct kv_feed *feed);
bool kv_feed_is_ending(const struct kv_feed *feed);

#endif
