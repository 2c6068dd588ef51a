/*
 * A page is sent once its loop has delivered all changes that the page shows, so no change follows
 * a state that includes it. A key that is not in the page because it was deleted needs no message.
 */
#include "keyspace/snapshot.h"

#include <stdlib.h>

#include "base/mem.h"
#include "keyspace/cursor.h"

enum {
    PAGE_BYTES = 256 << 10
};

enum state {
    BEGINS,
    READS,     /* the next page */
    IS_READ,   /* the page is there */
    HAS_ENDED, /* every page has been sent */
};

struct snapshot {
    struct kv_sync sync;
    enum state state;
    bool resets;
    bool is_in_order;        /* the walk is: by `start`; otherwise by `cursor` */
    bool is_whole;           /* the page is the last one */
    bool is_stale;           /* too many changes came: what is read is of no use */
    struct kv_buffer start;  /* the walk has passed the keys before this */
    struct kv_buffer cursor; /* of the next page */
    struct kv_command *command;
    struct kv_scan_entry *entries; /* of the page; by key where the walk is in order */
    uint32_t n;
    struct kv_backlog held;
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

static void drop_held(struct snapshot *snapshot)
{
    kv_backlog_fini(&snapshot->held);
    kv_backlog_init(&snapshot->held);
}

static void destroy(struct snapshot *snapshot)
{
    kv_sync_fini(&snapshot->sync);
    drop_page(snapshot);
    kv_backlog_fini(&snapshot->held);
    kv_buffer_fini(&snapshot->start);
    kv_buffer_fini(&snapshot->cursor);
    free(snapshot);
}

/* ---- changes meanwhile ---- */

static bool has_passed(const struct snapshot *snapshot, struct kv_slice key)
{
    if (snapshot->state == HAS_ENDED)
        return true;
    return snapshot->is_in_order && kv_slice_compare(key, kv_buffer_slice(&snapshot->start)) < 0;
}

/* Whether another page will have the key. */
static bool is_beyond_page(const struct snapshot *snapshot, struct kv_slice key)
{
    return !snapshot->is_whole &&
           (snapshot->n == 0 || kv_slice_compare(key, snapshot->entries[snapshot->n - 1].key) > 0);
}

/* Whether the walk will meet the state that a change led to, where it has not passed the key. */
static bool will_meet(const struct snapshot *snapshot, struct kv_slice key)
{
    if (snapshot->state == BEGINS)
        return snapshot->is_in_order || snapshot->cursor.len == 0;
    return snapshot->is_in_order && snapshot->state == IS_READ && is_beyond_page(snapshot, key);
}

static void hold(struct snapshot *snapshot, struct kv_news *news)
{
    kv_backlog_put(&snapshot->held, store_of(snapshot), news, (struct kv_coverage){0});
    if (snapshot->held.cost <= kv_sync_subscriber(&snapshot->sync)->max_subscriptions)
        return;
    snapshot->is_stale = true;
    drop_held(snapshot);
}

static bool passes(struct kv_holdup *self, struct kv_news *news)
{
    struct snapshot *snapshot = of_holdup(self);
    if (has_passed(snapshot, news->key))
        return true;
    if (!snapshot->is_stale && !will_meet(snapshot, news->key))
        hold(snapshot, news);
    return false;
}

static struct kv_scan_entry *find_entry(const struct snapshot *snapshot, struct kv_slice key)
{
    for (uint32_t i = 0; i < snapshot->n; i++)
        if (kv_slice_equals(snapshot->entries[i].key, key))
            return &snapshot->entries[i];
    return NULL;
}

/* Neither an older state nor the same change is to follow. An entry without state is not sent. */
static void told(struct kv_holdup *self, const struct kv_news *news)
{
    struct snapshot *snapshot = of_holdup(self);
    struct kv_behind *held = kv_backlog_find(&snapshot->held, news->key, news->hash);
    struct kv_scan_entry *entry = find_entry(snapshot, news->key);
    if (held != NULL)
        kv_backlog_remove(&snapshot->held, held);
    if (entry != NULL && entry->item.revision < news->revision)
        entry->item.revision = 0;
}

static void end(struct kv_holdup *self)
{
    struct snapshot *snapshot = of_holdup(self);
    if (snapshot->command == NULL) {
        destroy(snapshot);
        return;
    }
    kv_sync_fini(&snapshot->sync); /* the rest when the command is finished */
}

/* ---- sending a page ---- */

static void send_state(struct snapshot *snapshot, struct kv_slice key, const struct kv_item *item)
{
    struct kv_news news = {.key = key, .revision = item->revision, .state = *item};
    kv_subscriber_send(kv_sync_subscriber(&snapshot->sync), &news,
                       snapshot->sync.subscription->wants_meta);
    kv_news_fini(&news);
}

static void send_entry(struct snapshot *snapshot, const struct kv_scan_entry *entry)
{
    int64_t now_ms = kv_clock_now_ms(snapshot->sync.syncs->parts->clock);
    if (entry->item.revision != 0 && entry->item.deadline_ms > now_ms)
        send_state(snapshot, entry->key, &entry->item);
}

/* Whether the page has shown what a held change led to, or something newer. */
static bool is_shown(const struct snapshot *snapshot, const struct kv_news *news)
{
    const struct kv_scan_entry *entry = find_entry(snapshot, news->key);
    if (entry == NULL) /* never seen, so never gone; in no order it may have been in another page */
        return news->state.revision == 0 &&
               (snapshot->is_in_order || !kv_sync_pattern(&snapshot->sync)->is_prefix);
    return news->revision <= entry->item.revision;
}

static void tell_held(struct snapshot *snapshot, struct kv_behind *behind)
{
    struct kv_kept_news *kept = behind->kept;
    kept->n_holders++;
    kv_backlog_remove(&snapshot->held, behind);
    kv_topics_tell_one(snapshot->sync.syncs->topics, snapshot->sync.subscription, &kept->news);
    kv_kept_news_release(kept);
}

/* Of what is held, drops what the page has shown, or the walk will meet. */
static void sift_held(struct snapshot *snapshot)
{
    KV_LIST_EACH(&snapshot->held.in_order, link, after)
    {
        struct kv_behind *behind = KV_CONTAINER(link, struct kv_behind, in_order);
        const struct kv_news *news = &behind->kept->news;
        if (is_shown(snapshot, news) ||
            (snapshot->is_in_order && is_beyond_page(snapshot, news->key)))
            kv_backlog_remove(&snapshot->held, behind);
    }
}

static void tell_all_held(struct snapshot *snapshot)
{
    struct kv_behind *first;
    while ((first = kv_backlog_first(&snapshot->held)) != NULL)
        tell_held(snapshot, first);
}

/* The walk has come to the end of the page. */
static void pass_page(struct snapshot *snapshot)
{
    if (snapshot->is_whole) {
        snapshot->state = HAS_ENDED;
        return;
    }
    snapshot->state = BEGINS;
    if (snapshot->n == 0 || !snapshot->is_in_order)
        return;
    snapshot->start.len = 0;
    kv_buffer_append(&snapshot->start, snapshot->entries[snapshot->n - 1].key);
    kv_buffer_append_char(&snapshot->start, '\0');
}

static void send_page(struct snapshot *snapshot)
{
    const struct kv_pattern *pattern = kv_sync_pattern(&snapshot->sync);
    for (uint32_t i = 0; i < snapshot->n; i++)
        send_entry(snapshot, &snapshot->entries[i]);
    if (!pattern->is_prefix && snapshot->n == 0)
        send_state(snapshot, pattern->text, &(struct kv_item){0});
    sift_held(snapshot);
    pass_page(snapshot);
    if (snapshot->is_in_order || snapshot->is_whole)
        tell_all_held(snapshot);
    drop_page(snapshot);
}

/* ---- reading a page ---- */

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

static void take_outcome(struct snapshot *snapshot, struct kv_command *command)
{
    if (command->status != KV_OK && command->status != KV_MISSING) {
        kv_sync_fail(&snapshot->sync, command->status);
        return;
    }
    if (command->page != NULL)
        take_scan(snapshot, command->page);
    else
        take_get(snapshot, command);
    snapshot->state = IS_READ;
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
    if (snapshot->is_in_order) {
        const struct kv_cursor cursor = {.kind = KV_CURSOR_START,
                                         .prefix = command->key,
                                         .start = kv_buffer_slice(&snapshot->start)};
        snapshot->cursor.len = 0;
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
        kv_sync_fail(&snapshot->sync, KV_FULL);
        return;
    }
    snapshot->state = READS;
    snapshot->command = command;
    kv_gate_enter(syncs->gate, command);
    kv_gate_admit(syncs->gate, command);
}

/* ---- the walk ---- */

static void reset(struct snapshot *snapshot)
{
    struct kv_subscriber *subscriber = kv_sync_subscriber(&snapshot->sync);
    snapshot->resets = false;
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

/* More changes came than can be held: the page is read again, or all of them. */
static void begin_again(struct snapshot *snapshot)
{
    snapshot->is_stale = false;
    drop_page(snapshot);
    if (!snapshot->is_in_order) {
        snapshot->cursor.len = 0;
        snapshot->resets = true;
    }
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
    const struct kv_pattern *pattern = &subscription->topic->pattern;
    snapshot->is_in_order =
        pattern->is_prefix && (syncs->parts->store_capabilities & KV_STORE_SEEKS) != 0;
    if (snapshot->is_in_order)
        kv_buffer_append(&snapshot->start, pattern->text);
    kv_backlog_init(&snapshot->held);
    subscription->told_after = KV_REVISION_MAX;
    subscription->told_upto = 0;
    kv_sync_init(&snapshot->sync, syncs, subscription);
}
