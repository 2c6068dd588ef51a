/*
 * The feed is the only way in which a loop learns of a change, including its own writes. The store
 * reports a change inside the critical section that orders the key's changes; one record, shared by
 * reference count, is pushed to the inbox of each loop that wants it. As a lock orders the pushes,
 * and they are taken in that order, every loop sees one key's changes in their order, each once.
 * Changes of different keys may be pushed out of order: a loop sorts those that it has taken, and
 * delivers them up to the watermark.
 *
 * Bounded: when a loop is too far behind, the others submit nothing until it has caught up
 * (kv_feed_is_congested); a loop never waits for itself.
 */
#include "keyspace/feed.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
    CONGESTED_BYTES = 64 << 20,
    RECORD_BYTES = 256
};

struct delivery {
    struct kv_link link; /* in the inbox */
    struct kv_list held; /* in the order of delivery */
    struct record *record;
};

struct record {
    struct kv_change change;
    uint64_t bytes;
    bool is_elsewhere;       /* only observers with is_everywhere see it */
    bool is_resync;          /* not a change: only `revision` is set */
    _Atomic uint32_t n_open; /* deliveries not yet made */
    struct delivery deliveries[];
};

static void count_observers(struct kv_feed *feed)
{
    const struct kv_keyspace_parts *parts = feed->parts;
    for (size_t i = 0; i < parts->n_observers; i++) {
        feed->has_witnesses |= parts->observers[i]->is_everywhere;
        feed->has_observers |= !parts->observers[i]->is_everywhere;
    }
    feed->tells_observers =
        feed->has_observers && (parts->store_capabilities & KV_STORE_SHOWS) == 0;
}

void kv_feed_init(struct kv_feed *feed, const struct kv_store_link *store,
                  const struct kv_keyspace_parts *parts)
{
    feed->store = store;
    feed->parts = parts;
    kv_interests_init(&feed->interests);
    kv_watermark_init(&feed->watermark, store, parts);
    kv_change_log_init(&feed->log, store, parts, &feed->watermark);
    kv_touches_init(&feed->touches);
    count_observers(feed);
}

void kv_feed_fini(struct kv_feed *feed)
{
    kv_change_log_fini(&feed->log);
    kv_interests_fini(&feed->interests);
    kv_touches_fini(&feed->touches);
}

void kv_feed_inbox_init(struct kv_feed_inbox *inbox, struct kv_feed *feed, uint32_t index,
                        struct kv_topics *topics, struct kv_watches *watches,
                        struct kv_keyspace_loop *here)
{
    inbox->feed = feed;
    inbox->here = here;
    inbox->loop = feed->parts->loops[index];
    inbox->topics = topics;
    inbox->watches = watches;
    inbox->index = index;
    kv_list_init(&inbox->held);
    feed->inboxes[index] = inbox;
}

/* ---- on the thread that commits ---- */

static bool is_observed(const struct kv_feed *feed, bool is_elsewhere)
{
    return feed->has_witnesses || (feed->tells_observers && !is_elsewhere);
}

static uint64_t interested_loops(const struct kv_feed *feed, const struct kv_change *change,
                                 bool is_elsewhere)
{
    uint64_t loops = kv_interests_of(&feed->interests, change->key, change->hash);
    if (is_observed(feed, is_elsewhere) && kv_store_is_ready(feed->store))
        loops |= UINT64_C(1) << (change->hash % feed->parts->n_loops);
    return loops;
}

static struct record *create_record(const struct kv_feed *feed, const struct kv_change *change,
                                    uint32_t n_loops)
{
    struct record *record = kv_alloc(sizeof(*record) + n_loops * sizeof(struct delivery));
    record->change = *change;
    record->change.before = kv_item_share(feed->store, &change->before);
    record->change.after = kv_item_share(feed->store, &change->after);
    record->is_elsewhere = false;
    record->is_resync = false;
    record->bytes =
        RECORD_BYTES + change->key.len + change->after.value.len + change->before.value.len;
    atomic_init(&record->n_open, n_loops);
    return record;
}

static void push(struct kv_feed *feed, struct record *record, uint64_t loops)
{
    struct delivery *delivery = record->deliveries;
    for (uint32_t n = (uint32_t)__builtin_popcountll(loops); n > 0; n--, delivery++) {
        struct kv_feed_inbox *there = feed->inboxes[__builtin_ctzll(loops)];
        loops &= loops - 1;
        delivery->record = record;
        atomic_fetch_add(&there->bytes, record->bytes);
        kv_inbox_push(&there->records, &delivery->link);
        kv_loop_wake(there->loop);
    }
}

static inline void tell(struct kv_feed *feed, const struct kv_change *change, bool is_elsewhere)
{
    uint64_t loops = interested_loops(feed, change, is_elsewhere);
    if (loops != 0 && !kv_feed_is_ending(feed)) {
        struct record *record = create_record(feed, change, (uint32_t)__builtin_popcountll(loops));
        record->is_elsewhere = is_elsewhere;
        push(feed, record, loops);
    }
    if (kv_change_log_is_running(&feed->log) && !kv_feed_is_ending(feed))
        kv_change_log_append(&feed->log, change);
    kv_watermark_tell(&feed->watermark, change->revision);
}

void kv_feed_changed(struct kv_feed *feed, const struct kv_change *change)
{
    tell(feed, change, false);
}

void kv_feed_changed_elsewhere(struct kv_feed *feed, const struct kv_change *change)
{
    tell(feed, change, true);
}

static void push_resync(struct kv_feed *feed, const struct kv_change *none)
{
    struct record *record = create_record(feed, none, feed->parts->n_loops);
    record->is_resync = true;
    kv_counter_add(&feed->resyncs, 1);
    push(feed, record, UINT64_MAX >> (64 - feed->parts->n_loops));
}

/* Its revision is above those of all earlier reports: so it is delivered after them. Before the
 * store is ready, nobody was notified of anything, but the log may already have changes. */
void kv_feed_resync(struct kv_feed *feed)
{
    bool is_ready = kv_store_is_ready(feed->store);
    if ((!is_ready && !kv_change_log_is_running(&feed->log)) || kv_feed_is_ending(feed))
        return;
    const struct kv_change none = {.revision = kv_watermark_newest(&feed->watermark)};
    kv_change_log_lose(&feed->log, none.revision);
    if (is_ready)
        push_resync(feed, &none);
    kv_watermark_tell(&feed->watermark, none.revision);
}

/* ---- on a loop ---- */

static void release_record(const struct kv_feed *feed, struct record *record)
{
    if (atomic_fetch_sub(&record->n_open, 1) != 1)
        return;
    kv_item_release(feed->store, &record->change.before);
    kv_item_release(feed->store, &record->change.after);
    free(record);
}

static void observe(const struct kv_feed_inbox *inbox, const struct record *record)
{
    const struct kv_keyspace_parts *parts = inbox->feed->parts;
    const struct kv_change *change = &record->change;
    bool is_for_all = inbox->feed->tells_observers && !record->is_elsewhere;
    if (!is_observed(inbox->feed, record->is_elsewhere) ||
        change->hash % parts->n_loops != inbox->index)
        return;
    for (size_t i = 0; i < parts->n_observers; i++)
        if (is_for_all || parts->observers[i]->is_everywhere)
            parts->observers[i]->on_change(parts->observers[i], inbox->here, change, NULL);
}

static void wake_the_others(const struct kv_feed_inbox *inbox)
{
    const struct kv_keyspace_parts *parts = inbox->feed->parts;
    for (uint32_t i = 0; i < parts->n_loops; i++)
        if (i != inbox->index)
            kv_loop_wake(parts->loops[i]);
}

static void account(struct kv_feed_inbox *inbox, uint64_t delivered)
{
    uint64_t before = atomic_fetch_sub(&inbox->bytes, delivered);
    if (before >= CONGESTED_BYTES && before - delivered < CONGESTED_BYTES)
        wake_the_others(inbox);
}

static struct delivery *held_delivery(const struct kv_list *link)
{
    return KV_CONTAINER((uintptr_t)link, struct delivery, held);
}

static uint64_t revision_of(const struct kv_list *link)
{
    /* It has left the list before it is freed. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    return held_delivery(link)->record->change.revision;
}

static bool is_ordered(const struct kv_feed_inbox *inbox)
{
    return inbox->feed->watermark.kind != KV_WATERMARK_UNKNOWN;
}

/* Searches from the end, as most are in order. */
static void hold(struct kv_feed_inbox *inbox, struct delivery *delivery)
{
    struct kv_list *after = &inbox->held;
    if (is_ordered(inbox))
        while (after->prev != &inbox->held &&
               revision_of(after->prev) > delivery->record->change.revision)
            after = after->prev;
    kv_list_append(after, &delivery->held);
}

static void take(struct kv_feed_inbox *inbox)
{
    struct kv_link *link = kv_inbox_take_all(&inbox->records);
    while (link != NULL) {
        struct delivery *delivery = KV_CONTAINER(link, struct delivery, link);
        link = link->next;
        hold(inbox, delivery);
    }
}

static void deliver_change(struct kv_feed_inbox *inbox, const struct record *record)
{
    kv_watches_tell(inbox->watches, &record->change);
    kv_topics_tell(inbox->topics, &record->change);
    observe(inbox, record);
}

static void deliver(struct kv_feed_inbox *inbox, struct record *record)
{
    if (record->is_resync)
        inbox->on_resync(inbox->here);
    else
        deliver_change(inbox, record);
    release_record(inbox->feed, record);
}

/* Returns: the bytes of the delivered changes. */
static uint64_t deliver_upto(struct kv_feed_inbox *inbox, uint64_t revision)
{
    uint64_t bytes = 0;
    while (!kv_list_is_empty(&inbox->held) &&
           (!is_ordered(inbox) || revision_of(inbox->held.next) <= revision)) {
        struct delivery *delivery = held_delivery(inbox->held.next);
        kv_list_remove(&delivery->held);
        bytes += delivery->record->bytes; /* NOLINT(clang-analyzer-unix.Malloc): as above */
        deliver(inbox, delivery->record);
    }
    if (revision > inbox->delivered)
        inbox->delivered = revision;
    return bytes;
}

static uint64_t deliver_known(struct kv_feed_inbox *inbox)
{
    uint64_t upto = kv_watermark_now(&inbox->feed->watermark);
    take(inbox);
    /* A change reported by a store in order is next, even if the watermark does not show it yet. */
    if (inbox->feed->watermark.kind == KV_WATERMARK_TOLD && !kv_list_is_empty(&inbox->held) &&
        revision_of(inbox->held.prev) > upto)
        upto = revision_of(inbox->held.prev);
    return deliver_upto(inbox, upto);
}

bool kv_feed_deliver(struct kv_feed_inbox *inbox)
{
    if (kv_inbox_is_empty(&inbox->records) && kv_list_is_empty(&inbox->held))
        return false;
    uint64_t bytes = deliver_known(inbox);
    if (!kv_list_is_empty(&inbox->held)) {
        kv_watermark_wait(&inbox->feed->watermark, inbox->index);
        bytes += deliver_known(inbox);
    }
    account(inbox, bytes);
    return bytes != 0;
}

void kv_feed_inbox_fini(struct kv_feed_inbox *inbox)
{
    take(inbox);
    KV_LIST_EACH(&inbox->held, link, after)
    release_record(inbox->feed, held_delivery(link)->record);
}

uint64_t kv_feed_delivered_upto(struct kv_feed_inbox *inbox)
{
    uint64_t upto = kv_watermark_now(&inbox->feed->watermark);
    if (kv_inbox_is_empty(&inbox->records) && kv_list_is_empty(&inbox->held) &&
        upto > inbox->delivered)
        inbox->delivered = upto;
    return inbox->delivered;
}

uint64_t kv_feed_oldest_held(const struct kv_feed_inbox *inbox)
{
    return kv_list_is_empty(&inbox->held) ? 0 : revision_of(inbox->held.next);
}

uint64_t kv_feed_newest_held(const struct kv_feed_inbox *inbox)
{
    return kv_list_is_empty(&inbox->held) ? 0 : revision_of(inbox->held.prev);
}

/* ---- opening and closing ---- */

bool kv_feed_is_congested(const struct kv_feed *feed)
{
    for (uint32_t i = 0; i < feed->parts->n_loops; i++)
        if (atomic_load(&feed->inboxes[i]->bytes) >= CONGESTED_BYTES)
            return true;
    return false;
}

bool kv_feed_is_quiet(const struct kv_feed *feed)
{
    for (uint32_t i = 0; i < feed->parts->n_loops; i++)
        if (atomic_load(&feed->inboxes[i]->bytes) != 0)
            return false;
    return true;
}

void kv_feed_end(struct kv_feed *feed)
{
    atomic_store(&feed->is_ending, true);
}

bool kv_feed_is_ending(const struct kv_feed *feed)
{
    return atomic_load(&feed->is_ending);
}
