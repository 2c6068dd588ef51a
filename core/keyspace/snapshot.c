/*
 * A page is sent once its loop has delivered all changes that the page shows, so no change follows
 * a state that includes it. A key that was deleted, and so is not in the page, needs no message.
 */
#include "keyspace/snapshot.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "keyspace/cursor.h"

enum {
    PAGE_BYTES = 256 << 10
};

enum state {
    BEGINS,
    READS,     /* reads the next page */
    IS_READ,   /* the page has arrived */
    HAS_ENDED, /* every page has been sent */
};

struct snapshot {
    struct kv_sync sync;
    enum state state;
    bool resets;
    bool is_in_order;        /* the walk is in byte order: by `start`; otherwise by `cursor` */
    bool is_whole;           /* the page is the last one */
    bool is_stale;           /* too many changes came: the page is useless */
    bool is_overtaken;       /* the client was told a state newer than the page may show */
    struct kv_buffer start;  /* the walk has passed the keys before this one */
    struct kv_buffer cursor; /* of the next page; empty: it begins at `start` */
    struct kv_command *command;
    struct kv_scan_entry *entries; /* of the page; sorted by key if the walk is in order */
    uint32_t n;
    struct kv_backlog held;
    struct kv_backlog told; /* told by other subscriptions, while the page was being read */
};

static struct snapshot *of(struct kv_sync *sync)
{
    return KV_CONTAINER(sync, struct snapshot, sync);
}

static struct snapshot *of_holdup(struct kv_holdup *holdup)
{
    return of(KV_CONTAINER(holdup, struct kv_sync, holdup));
}

static const struct kv_store_link *store_of(const struct snapshot *snapshot)
{
    return snapshot->sync.syncs->store;
}

static void drop_page(struct snapshot *snapshot)
{
    for (uint32_t i = 0; i < snapshot->n; i++)
        kv_item_release(store_of(snapshot), &snapshot->entries[i].item);
    free(snapshot->entries);
    snapshot->entries = NULL;
    snapshot->n = 0;
}

static void empty(struct kv_backlog *backlog)
{
    kv_backlog_fini(backlog);
    kv_backlog_init(backlog, backlog->tally);
}

static void destroy(struct snapshot *snapshot)
{
    kv_sync_fini(&snapshot->sync);
    drop_page(snapshot);
    kv_backlog_fini(&snapshot->held);
    kv_backlog_fini(&snapshot->told);
    kv_buffer_fini(&snapshot->start);
    kv_buffer_fini(&snapshot->cursor);
    free(snapshot);
}

/* ---- changes during the walk ---- */

/* Whether all held changes belong to the page that is being read. */
static bool is_of_one_page(const struct snapshot *snapshot)
{
    return snapshot->is_in_order || !kv_sync_pattern(&snapshot->sync)->is_prefix;
}

static bool has_passed(const struct snapshot *snapshot, struct kv_slice key)
{
    if (snapshot->state == HAS_ENDED)
        return true;
    return snapshot->is_in_order && kv_slice_compare(key, kv_buffer_slice(&snapshot->start)) < 0;
}

/* Whether the key belongs to a later page. The end of a page without keys is not known. */
static bool is_beyond_page(const struct snapshot *snapshot, struct kv_slice key)
{
    return !snapshot->is_whole && snapshot->n != 0 &&
           kv_slice_compare(key, snapshot->entries[snapshot->n - 1].key) > 0;
}

/* Whether the walk will find the state that a change led to, unless it has passed the key. */
static bool will_meet(const struct snapshot *snapshot, struct kv_slice key)
{
    if (snapshot->state == BEGINS)
        return snapshot->cursor.len == 0;
    return snapshot->is_in_order && snapshot->state == IS_READ && is_beyond_page(snapshot, key);
}

/* Whether the walk will not show the state that the change led to: a deleted key under a prefix is
 * not in its page. But the client may know the key by another subscription. */
static bool is_unseen(const struct snapshot *snapshot, const struct kv_news *news)
{
    return news->state.revision == 0 && kv_sync_pattern(&snapshot->sync)->is_prefix;
}

/* Bounds the memory for held changes: if it is exceeded, the page is stale. */
static void bound(struct snapshot *snapshot)
{
    uint32_t most = kv_sync_subscriber(&snapshot->sync)->max_subscriptions;
    if (snapshot->held.cost > most || snapshot->told.cost > most)
        snapshot->is_stale = true;
}

/* A walk without order may be long: the newest change of each key is held. */
static void hold(struct snapshot *snapshot, struct kv_news *news)
{
    const struct kv_coverage none = {0};
    if (is_of_one_page(snapshot))
        kv_backlog_add(&snapshot->held, store_of(snapshot), news, none);
    else
        kv_backlog_put(&snapshot->held, store_of(snapshot), news, none);
    bound(snapshot);
}

static bool passes(struct kv_holdup *self, struct kv_news *news)
{
    struct snapshot *snapshot = of_holdup(self);
    if (has_passed(snapshot, news->key))
        return true;
    if (!snapshot->is_stale && !will_meet(snapshot, news->key)) {
        hold(snapshot, news);
        return false;
    }
    if (!is_unseen(snapshot, news))
        return false;
    kv_backlog_remove_upto(&snapshot->held, news->key, news->hash, news->revision);
    return true;
}

static struct kv_scan_entry *find_entry(const struct snapshot *snapshot, struct kv_slice key)
{
    for (uint32_t i = 0; i < snapshot->n; i++)
        if (kv_slice_equals(snapshot->entries[i].key, key))
            return &snapshot->entries[i];
    return NULL;
}

/* Keeps this state, and older ones, out of the page: an entry without state is not sent. */
static void leave_out(struct snapshot *snapshot, const struct kv_news *news)
{
    struct kv_scan_entry *entry = find_entry(snapshot, news->key);
    if (entry != NULL && entry->item.revision <= news->revision)
        entry->item.revision = 0;
    snapshot->is_overtaken = true;
}

static void told(struct kv_holdup *self, struct kv_news *news)
{
    struct snapshot *snapshot = of_holdup(self);
    kv_backlog_remove_upto(&snapshot->held, news->key, news->hash, news->revision);
    if (snapshot->state == READS && !snapshot->is_stale) {
        kv_backlog_put(&snapshot->told, store_of(snapshot), news, (struct kv_coverage){0});
        bound(snapshot);
    } else if (snapshot->state == IS_READ) {
        leave_out(snapshot, news);
    }
}

static void end(struct kv_holdup *self)
{
    struct snapshot *snapshot = of_holdup(self);
    if (snapshot->command == NULL) {
        destroy(snapshot);
        return;
    }
    kv_sync_fini(&snapshot->sync); /* the rest is freed when the command has finished */
}

/* ---- sending a page ---- */

static void send_state(struct snapshot *snapshot, struct kv_slice key, const struct kv_item *item)
{
    struct kv_subscriber *subscriber = kv_sync_subscriber(&snapshot->sync);
    struct kv_news news = {.key = key, .revision = item->revision, .state = *item};
    if (kv_subscriber_is_behind(subscriber) &&
        kv_subscriber_supersede(subscriber, key, kv_hash(key), item->revision))
        return; /* the backlog has it, or a newer one */
    kv_subscriber_send(subscriber, &news, snapshot->sync.subscription->wants_meta);
    kv_news_fini(&news);
}

static void send_entry(struct snapshot *snapshot, const struct kv_scan_entry *entry)
{
    int64_t now_ms = kv_clock_now_ms(snapshot->sync.syncs->parts->clock);
    if (entry->item.revision != 0 && entry->item.deadline_ms > now_ms)
        send_state(snapshot, entry->key, &entry->item);
}

/* Whether a held delete of the key is this change, or a later one. */
static bool is_gone_after(const struct snapshot *snapshot, const struct kv_news *news)
{
    KV_TABLE_EACH(&snapshot->held.by_key, news->hash, node)
    {
        const struct kv_news *held = &KV_CONTAINER(node, struct kv_behind, node)->kept->news;
        if (held->revision >= news->revision && held->state.revision == 0 &&
            kv_slice_equals(held->key, news->key))
            return true;
    }
    return false;
}

/* Whether the page has shown the state that a held change led to, or a newer one. The absence of a
 * single key is shown: the last delete, and earlier changes, may have been seen. */
static bool is_shown(const struct snapshot *snapshot, const struct kv_news *news)
{
    const struct kv_scan_entry *entry = find_entry(snapshot, news->key);
    if (entry != NULL)
        return news->revision <= entry->item.revision;
    return !kv_sync_pattern(&snapshot->sync)->is_prefix && !snapshot->is_overtaken &&
           is_gone_after(snapshot, news);
}

static void tell_held(struct snapshot *snapshot, struct kv_behind *behind)
{
    struct kv_kept_news *kept = behind->kept;
    kept->n_holders++;
    kv_backlog_remove(&snapshot->held, behind);
    kv_topics_tell_one(snapshot->sync.syncs->topics, snapshot->sync.subscription, &kept->news);
    kv_kept_news_release(kept);
}

/* Drops the held changes that the page has shown, or that the walk will find. */
static void sift_held(struct snapshot *snapshot)
{
    KV_LIST_EACH(&snapshot->held.in_order, link, after)
    {
        struct kv_behind *behind = KV_CONTAINER(link, struct kv_behind, in_order);
        const struct kv_news *news = &behind->kept->news;
        bool will_be_shown = snapshot->is_in_order && is_beyond_page(snapshot, news->key) &&
                             !is_unseen(snapshot, news);
        if (is_shown(snapshot, news) || will_be_shown)
            kv_backlog_remove(&snapshot->held, behind);
    }
}

static void tell_all_held(struct snapshot *snapshot)
{
    struct kv_behind *first;
    while ((first = kv_backlog_first(&snapshot->held)) != NULL)
        tell_held(snapshot, first);
}

/* Whether it is known which keys the walk has passed when it has passed the page. */
static bool has_known_end(const struct snapshot *snapshot)
{
    return snapshot->is_whole || (snapshot->is_in_order && snapshot->n != 0);
}

/* The walk has reached the end of the page. */
static void pass_page(struct snapshot *snapshot)
{
    snapshot->state = snapshot->is_whole ? HAS_ENDED : BEGINS;
    if (snapshot->is_whole || !has_known_end(snapshot))
        return;
    snapshot->cursor.len = 0;
    snapshot->start.len = 0;
    kv_buffer_append(&snapshot->start, snapshot->entries[snapshot->n - 1].key);
    kv_buffer_append_char(&snapshot->start, '\0');
}

static void send_page(struct snapshot *snapshot)
{
    const struct kv_pattern *pattern = kv_sync_pattern(&snapshot->sync);
    for (uint32_t i = 0; i < snapshot->n; i++)
        send_entry(snapshot, &snapshot->entries[i]);
    if (!pattern->is_prefix && snapshot->n == 0 && !snapshot->is_overtaken)
        send_state(snapshot, pattern->text, &(struct kv_item){0});
    sift_held(snapshot);
    pass_page(snapshot);
    if (has_known_end(snapshot))
        tell_all_held(snapshot);
    drop_page(snapshot);
}

/* ---- reading a page ---- */

/* No subscription relies on a snapshot (topics.h). */
static void fail(struct snapshot *snapshot, int status)
{
    struct kv_subscriber *subscriber = kv_sync_subscriber(&snapshot->sync);
    subscriber->ops->on_failed(subscriber, kv_sync_pattern(&snapshot->sync), status);
    kv_topics_unsubscribe(snapshot->sync.syncs->topics, snapshot->sync.subscription);
}

/* The last revision that the page may show. */
static uint64_t newest_in_page(const struct snapshot *snapshot)
{
    uint64_t newest = kv_feed_newest_held(snapshot->sync.syncs->inbox);
    for (uint32_t i = 0; i < snapshot->n; i++)
        if (snapshot->entries[i].item.revision > newest)
            newest = snapshot->entries[i].item.revision;
    bool is_known = kv_watermark_now(&snapshot->sync.syncs->inbox->feed->watermark) != 0;
    return is_known ? newest : 0;
}

static void take_scan(struct snapshot *snapshot, struct kv_page *page)
{
    snapshot->entries = page->entries;
    snapshot->n = page->n;
    page->entries = NULL;
    page->n = 0;
    kv_buffer_fini(&snapshot->cursor);
    snapshot->cursor = page->cursor;
    page->cursor = (struct kv_buffer){0};
    snapshot->is_whole = snapshot->cursor.len == 0;
}

static void take_get(struct snapshot *snapshot, struct kv_command *command)
{
    snapshot->is_whole = true;
    if (command->status != KV_OK)
        return;
    snapshot->entries = kv_alloc(sizeof(*snapshot->entries));
    snapshot->entries[0] = (struct kv_scan_entry){.key = kv_sync_pattern(&snapshot->sync)->text,
                                                  .item = kv_command_take_item(command)};
    snapshot->n = 1;
}

static void leave_out_told(struct snapshot *snapshot)
{
    KV_LIST_EACH(&snapshot->told.in_order, link, after)
    leave_out(snapshot, &KV_CONTAINER(link, struct kv_behind, in_order)->kept->news);
    empty(&snapshot->told);
}

static void take_outcome(struct snapshot *snapshot, struct kv_command *command)
{
    if (command->status != KV_OK && command->status != KV_MISSING) {
        fail(snapshot, command->status);
        return;
    }
    if (command->page != NULL)
        take_scan(snapshot, command->page);
    else
        take_get(snapshot, command);
    snapshot->state = IS_READ;
    leave_out_told(snapshot);
    snapshot->sync.awaited = newest_in_page(snapshot);
    kv_sync_make_ready(&snapshot->sync);
}

static void on_page(struct kv_command *command)
{
    struct snapshot *snapshot = command->owner;
    snapshot->command = NULL;
    if (snapshot->sync.subscription == NULL)
        destroy(snapshot);
    else
        take_outcome(snapshot, command);
}

static struct kv_command *page_command(struct snapshot *snapshot, struct kv_command *command)
{
    command->page->max_keys = KV_STORE_PAGE;
    command->page->max_bytes = PAGE_BYTES;
    command->page->wants_values = true;
    if (snapshot->is_in_order && snapshot->cursor.len == 0) {
        const struct kv_cursor cursor = {.kind = KV_CURSOR_START,
                                         .prefix = command->key,
                                         .start = kv_buffer_slice(&snapshot->start)};
        if (!kv_cursor_write(&snapshot->cursor, &cursor))
            return NULL;
    }
    command->argument = kv_buffer_slice(&snapshot->cursor);
    return command;
}

static void read_page(struct snapshot *snapshot)
{
    struct kv_syncs *syncs = snapshot->sync.syncs;
    const struct kv_pattern *pattern = kv_sync_pattern(&snapshot->sync);
    struct kv_command *command = kv_commands_take(
        syncs->commands, syncs->here, pattern->is_prefix ? KV_COMMAND_SCAN : KV_COMMAND_GET);
    command->key = pattern->text;
    command->owner = snapshot;
    command->finished = on_page;
    if ((pattern->is_prefix && page_command(snapshot, command) == NULL) ||
        kv_command_keep(command) != 0) {
        kv_command_free(command);
        fail(snapshot, KV_FULL);
        return;
    }
    snapshot->state = READS;
    snapshot->is_overtaken = false;
    snapshot->command = command;
    kv_gate_enter(syncs->gate, command);
    kv_gate_admit(syncs->gate, command);
}

/* ---- the walk ---- */

static void reset(struct snapshot *snapshot)
{
    struct kv_subscriber *subscriber = kv_sync_subscriber(&snapshot->sync);
    snapshot->resets = false;
    kv_counts_sync(snapshot->sync.syncs->counts, KV_SYNC_RESET);
    subscriber->ops->on_reset(subscriber, kv_sync_pattern(&snapshot->sync));
}

static void begin_page(struct snapshot *snapshot)
{
    if (!kv_sync_begin_reading(&snapshot->sync))
        return;
    if (snapshot->resets)
        reset(snapshot);
    read_page(snapshot);
}

/* Tells those held changes that the walk will not show, and drops the others. */
static void tell_unseen(struct snapshot *snapshot)
{
    struct kv_behind *first;
    while ((first = kv_backlog_first(&snapshot->held)) != NULL)
        if (is_unseen(snapshot, &first->kept->news))
            tell_held(snapshot, first);
        else
            kv_backlog_remove(&snapshot->held, first);
}

/* More changes came than can be held: the page is read again, or all pages. */
static void begin_again(struct snapshot *snapshot)
{
    drop_page(snapshot);
    tell_unseen(snapshot);
    snapshot->is_stale = false;
    snapshot->cursor.len = 0;
    snapshot->resets |= !snapshot->is_in_order;
    snapshot->state = BEGINS;
    kv_sync_make_ready(&snapshot->sync);
}

static void finish_page(struct snapshot *snapshot)
{
    if (!snapshot->is_stale && !kv_sync_is_delivered(&snapshot->sync))
        return;
    kv_sync_end_reading(&snapshot->sync);
    if (snapshot->is_stale) {
        begin_again(snapshot);
        return;
    }
    send_page(snapshot);
    if (snapshot->state == HAS_ENDED)
        kv_sync_begin_end(&snapshot->sync,
                          kv_watermark_newest(&snapshot->sync.syncs->inbox->feed->watermark));
    kv_sync_make_ready(&snapshot->sync);
}

static void advance(struct kv_sync *self)
{
    struct snapshot *snapshot = of(self);
    switch (snapshot->state) {
    case BEGINS:
        begin_page(snapshot);
        break;
    case READS:
        break;
    case IS_READ:
        finish_page(snapshot);
        break;
    case HAS_ENDED:
        if (kv_sync_end(self))
            destroy(snapshot);
        break;
    }
}

void kv_snapshot_begin(struct kv_syncs *syncs, struct kv_subscription *subscription, bool resets)
{
    struct snapshot *snapshot = kv_calloc(1, sizeof(*snapshot));
    snapshot->sync.advance = advance;
    snapshot->sync.holdup = (struct kv_holdup){.passes = passes, .told = told, .end = end};
    snapshot->resets = resets;
    if (!resets)
        kv_counts_sync(syncs->counts, KV_SYNC_INITIAL);
    const struct kv_pattern *pattern = &subscription->topic->pattern;
    snapshot->is_in_order =
        pattern->is_prefix && (syncs->parts->store_capabilities & KV_STORE_SEEKS) != 0;
    if (snapshot->is_in_order)
        kv_buffer_append(&snapshot->start, pattern->text);
    kv_backlog_init(&snapshot->held, subscription->subscriber->behind.tally);
    kv_backlog_init(&snapshot->told, subscription->subscriber->behind.tally);
    subscription->told_after = KV_REVISION_MAX;
    kv_sync_init(&snapshot->sync, syncs, subscription);
}
