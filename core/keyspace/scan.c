/*
 * If the limit was reached within a page of the store, the next page begins after the last key that
 * was taken from it. If the store seeks, it goes straight there; otherwise the store's page is read
 * again, and its keys up to that one are skipped. If the store has no order and the key no longer
 * exists, the page is returned again.
 */
#include "keyspace/scan.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "keyspace/cursor.h"

enum {
    PAGES_A_TURN = 8,
    MOST_PAGES = 256, /* of a command, since the last one that brought a folded prefix */
    ENTRY_BYTES = 64, /* added for each key to the size of its bytes */
    FIRST_CAPACITY = 16
};

void kv_scans_init(struct kv_scans *scans, const struct kv_store_link *store,
                   const struct kv_keyspace_parts *parts, uint32_t loop)
{
    *scans = (struct kv_scans){.store = store, .parts = parts, .loop = loop};
    kv_queue_init(&scans->ready);
}

/* Whether the store can list in order, which is known once it is open. */
static bool is_ordered(const struct kv_scans *scans)
{
    return (scans->parts->store_capabilities & KV_STORE_ORDERED) != 0;
}

static bool seeks(const struct kv_scans *scans)
{
    return (scans->parts->store_capabilities & KV_STORE_SEEKS) != 0;
}

/* ---- ranges: the whole listing, or each prefix that it is narrowed to ---- */

static void walk_range(struct kv_page *page, size_t range)
{
    page->range = range;
    page->scan.prefix = page->within->all[range];
}

/* Continues the walk at or after `start`. Returns: false if nothing is left there. */
static bool enter_range(struct kv_page *page, struct kv_slice start)
{
    page->scan.start = start;
    if (page->within == NULL)
        return true;
    size_t range = kv_prefixes_find(page->within, start);
    if (range == page->within->n)
        return false;
    walk_range(page, range);
    if (!kv_slice_has_prefix(start, page->scan.prefix))
        page->scan.start = (struct kv_slice){0};
    return true;
}

/* The walk of a range is complete: enters the next range. A folded prefix that was taken last may
 * contain the next ranges. Returns: whether there is one more. */
static bool next_range(struct kv_page *page)
{
    const struct kv_prefixes *within = page->within;
    size_t next = page->range + 1;
    while (within != NULL && next < within->n && page->last_is_prefix &&
           kv_slice_has_prefix(within->all[next], page->last))
        next++;
    if (within == NULL || next >= within->n)
        return false;
    walk_range(page, next);
    return true;
}

/* ---- cursors ---- */

/* A position in byte order belongs to the whole listing, a cursor of the store to a range. */
static struct kv_cursor blank_cursor(const struct kv_page *page, enum kv_cursor_kind kind)
{
    return (struct kv_cursor){.kind = kind,
                              .prefix =
                                  kind == KV_CURSOR_START ? page->command->key : page->scan.prefix,
                              .delimiter = page->command->value};
}

static bool is_of_range(struct kv_page *page, struct kv_slice text, struct kv_cursor *cursor)
{
    *cursor = blank_cursor(page, KV_CURSOR_PAGE);
    return kv_cursor_read(text, cursor) && cursor->kind != KV_CURSOR_START;
}

/* Finds the range that the store's cursor belongs to. */
static bool find_range(struct kv_page *page, struct kv_slice text, struct kv_cursor *cursor)
{
    for (size_t i = 0; page->within != NULL && i < page->within->n; i++) {
        walk_range(page, i);
        if (is_of_range(page, text, cursor))
            return true;
    }
    return page->within == NULL && is_of_range(page, text, cursor);
}

/* Any store can begin at the start of a range. */
static bool can_start(const struct kv_scans *scans, const struct kv_page *page,
                      const struct kv_cursor *cursor)
{
    if (seeks(scans) || page->within == NULL)
        return seeks(scans);
    size_t range = kv_prefixes_find(page->within, cursor->start);
    return range != page->within->n && kv_slice_equals(cursor->start, page->within->all[range]);
}

/* Returns: false if the cursor does not belong to this listing. */
static bool read_cursor(const struct kv_scans *scans, struct kv_page *page, struct kv_slice text,
                        bool *ret_is_over)
{
    struct kv_cursor cursor = blank_cursor(page, KV_CURSOR_START);
    *ret_is_over = false;
    if (text.len == 0) {
        *ret_is_over = !enter_range(page, (struct kv_slice){0});
        return true;
    }
    if (kv_cursor_read(text, &cursor) && cursor.kind == KV_CURSOR_START) {
        *ret_is_over = !enter_range(page, cursor.start);
        return can_start(scans, page, &cursor);
    }
    if (!find_range(page, text, &cursor))
        return false;
    page->scan.cursor = cursor.store;
    page->skip_to = cursor.last_key;
    page->skips = cursor.kind == KV_CURSOR_KEY;
    return true;
}

/* Finds the first position after what was taken last. UTF-8 has no byte that could not be
 * increased.
 * Returns: KV_OK, or KV_FULL. */
static int find_start(struct kv_page *page)
{
    page->start.len = 0;
    if (kv_buffer_try_reserve(&page->start, page->last.len + 1) == NULL)
        return KV_FULL;
    kv_buffer_append(&page->start, page->last);
    if (page->last_is_prefix)
        page->start.bytes[page->start.len - 1]++;
    else
        kv_buffer_append_char(&page->start, '\0');
    return KV_OK;
}

static int write_place(struct kv_page *page, struct kv_slice start)
{
    struct kv_cursor cursor = blank_cursor(page, KV_CURSOR_START);
    cursor.start = start;
    return kv_cursor_write(&page->cursor, &cursor) ? KV_OK : KV_FULL;
}

/* Writes a cursor for a next page that begins after what was taken last. */
static int write_start_cursor(struct kv_page *page)
{
    int status = find_start(page);
    return status == KV_OK ? write_place(page, kv_buffer_slice(&page->start)) : status;
}

/* Writes a cursor for a next page that begins with that of the store, or after this key of it.
 * Returns: KV_OK, or KV_FULL. */
static int write_store_cursor(struct kv_page *page, const struct kv_slice *last_key)
{
    struct kv_cursor cursor = blank_cursor(page, last_key == NULL ? KV_CURSOR_PAGE : KV_CURSOR_KEY);
    cursor.store = page->scan.cursor;
    if (last_key != NULL)
        cursor.last_key = *last_key;
    return kv_cursor_write(&page->cursor, &cursor) ? KV_OK : KV_FULL;
}

/* ---- a page of the store ---- */

static void drop_entries(const struct kv_store_link *store, struct kv_scan_entry *entries,
                         uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        kv_item_release(store, &entries[i].item);
}

/* The index of the first entry to take from a store page that was returned in part. */
static uint32_t first_wanted(const struct kv_scans *scans, const struct kv_page *page)
{
    const struct kv_scan *scan = &page->scan;
    if (!page->skips)
        return 0;
    for (uint32_t i = 0; i < scan->n; i++) {
        int order = kv_slice_compare(scan->entries[i].key, page->skip_to);
        if (order == 0)
            return i + 1;
        if (is_ordered(scans) && order > 0)
            return i;
    }
    return is_ordered(scans) ? scan->n : 0;
}

/* The key up to the delimiter after the prefix; empty if it has none there. */
static struct kv_slice fold(const struct kv_page *page, struct kv_slice key)
{
    struct kv_slice prefix = page->command->key, delimiter = page->command->value;
    if (delimiter.len == 0)
        return (struct kv_slice){0};
    const char *from = key.bytes + prefix.len;
    const char *at = memmem(from, key.len - prefix.len, delimiter.bytes, delimiter.len);
    if (at == NULL)
        return (struct kv_slice){0};
    return (struct kv_slice){key.bytes, (size_t)(at - key.bytes) + delimiter.len};
}

static bool has_room(const struct kv_page *page, uint64_t size)
{
    uint32_t n = page->n + page->n_prefixes;
    size_t most =
        kv_tally_allowance(page->charge.tally, 2 * page->max_bytes) / 2; /* its text, too */
    return n == 0 || (n < page->max_keys && page->bytes + size <= most);
}

/* Returns: KV_OK, or KV_FULL. */
static int add(struct kv_scan_entry **entries, uint32_t *n, uint32_t *capacity,
               const struct kv_scan_entry *entry)
{
    if (*n == *capacity) {
        uint32_t larger = *capacity == 0 ? FIRST_CAPACITY : 2 * *capacity;
        struct kv_scan_entry *more = reallocarray(*entries, larger, sizeof(*more));
        if (more == NULL)
            return KV_FULL;
        *entries = more;
        *capacity = larger;
    }
    (*entries)[(*n)++] = *entry;
    return KV_OK;
}

static int take_key(struct kv_page *page, const struct kv_scan_entry *entry)
{
    page->last = entry->key;
    page->last_is_prefix = false;
    return add(&page->entries, &page->n, &page->capacity, entry);
}

static int take_prefix(struct kv_page *page, const struct kv_scan_entry *entry,
                       struct kv_slice prefix)
{
    page->last = prefix;
    page->last_is_prefix = true;
    page->has_jumped = false;
    page->n_store_pages = 0; /* MOST_PAGES counts from here */
    return add(&page->prefixes, &page->n_prefixes, &page->prefix_capacity,
               &(struct kv_scan_entry){.key = prefix, .item = entry->item});
}

/* Moves entries from the store's page to the command's, from `*at` on; `*at` becomes the first that
 * has no room. Returns: KV_OK, or KV_FULL. */
static int take_entries(const struct kv_scans *scans, struct kv_page *page, uint32_t *at)
{
    for (; *at < page->scan.n; ++*at) {
        struct kv_scan_entry *entry = &page->found[*at];
        struct kv_slice prefix = fold(page, entry->key);
        if (page->last_is_prefix && kv_slice_equals(prefix, page->last)) {
            kv_item_release(scans->store, &entry->item);
            continue;
        }
        uint64_t size = ENTRY_BYTES + (prefix.len != 0 ? prefix.len : entry->key.len) +
                        (page->wants_values && prefix.len == 0 ? entry->item.value.len : 0);
        if (!has_room(page, size))
            return KV_OK;
        int status = prefix.len != 0 ? take_prefix(page, entry, prefix) : take_key(page, entry);
        if (status != KV_OK)
            return status;
        page->bytes += size;
        kv_charge_set(&page->charge, page->bytes);
    }
    return KV_OK;
}

static void set_cursor(const struct kv_scans *scans, struct kv_page *page, struct kv_slice cursor,
                       void *cursor_ref)
{
    if (page->cursor_ref != NULL)
        scans->store->ops->unref(scans->store->store, page->cursor_ref);
    page->scan.cursor = cursor;
    page->scan.start = (struct kv_slice){0};
    page->cursor_ref = cursor_ref;
    page->skips = false;
}

/* ---- finishing ---- */

/* No reader sees a key from its deadline on, and pages of several turns may have keys whose
 * deadline has passed meanwhile. */
static void drop_expired(const struct kv_scans *scans, struct kv_page *page)
{
    int64_t now_ms = kv_clock_now_ms(scans->parts->clock);
    uint32_t n = 0;
    for (uint32_t i = 0; i < page->n; i++) {
        if (page->entries[i].item.deadline_ms <= now_ms)
            kv_item_release(scans->store, &page->entries[i].item);
        else
            page->entries[n++] = page->entries[i];
    }
    page->n = n;
}

static void finish(const struct kv_scans *scans, struct kv_page *page, int status)
{
    if (status == KV_OK)
        drop_expired(scans, page);
    kv_command_finish(page->command, status);
}

static bool is_full(struct kv_page *page)
{
    if (page->wants_count)
        return false;
    return page->n + page->n_prefixes == page->max_keys || ++page->n_store_pages >= MOST_PAGES;
}

/* The walk skips the rest of the folded prefix. */
static void jump(struct kv_scans *scans, struct kv_page *page)
{
    int status = is_full(page) ? write_start_cursor(page) : find_start(page);
    page->has_jumped = true;
    set_cursor(scans, page, (struct kv_slice){0}, NULL);
    if (status != KV_OK || page->cursor.len != 0 ||
        !enter_range(page, kv_buffer_slice(&page->start)))
        finish(scans, page, status);
    else
        kv_queue_push(&scans->ready, &page->link);
}

/* The store has nothing more in the range. */
static void end_range(struct kv_scans *scans, struct kv_page *page)
{
    if (!next_range(page))
        finish(scans, page, KV_OK);
    else if (is_full(page))
        finish(scans, page, write_place(page, page->scan.prefix));
    else
        kv_queue_push(&scans->ready, &page->link);
}

/* The store's page has been taken as a whole. */
static void go_on(struct kv_scans *scans, struct kv_page *page)
{
    struct kv_slice next = page->scan.next;
    set_cursor(scans, page, next, page->scan.next_ref);
    page->scan.next_ref = NULL;
    if (next.len == 0)
        end_range(scans, page);
    else if (page->last_is_prefix && !page->has_jumped)
        jump(scans, page);
    else if (is_full(page))
        finish(scans, page, write_store_cursor(page, NULL));
    else
        kv_queue_push(&scans->ready, &page->link);
}

/* The command's page is full within the store's page, or there is no memory for more. */
static void stop(struct kv_scans *scans, struct kv_page *page, uint32_t at, int status)
{
    if (status == KV_OK && seeks(scans))
        status = write_start_cursor(page);
    else if (status == KV_OK)
        status = write_store_cursor(page, at == 0 ? NULL : &page->found[at - 1].key);
    drop_entries(scans->store, page->found + at, page->scan.n - at);
    if (page->scan.next_ref != NULL)
        scans->store->ops->unref(scans->store->store, page->scan.next_ref);
    finish(scans, page, status);
}

static void count(struct kv_scans *scans, struct kv_page *page)
{
    page->count += page->scan.n;
    drop_entries(scans->store, page->found, page->scan.n);
    go_on(scans, page);
}

static void take_page(struct kv_scans *scans, struct kv_page *page)
{
    int status = (int)page->scan.status;
    if (status != KV_OK) {
        finish(scans, page, status == KV_CONDITION ? KV_BAD_CURSOR : status);
        return;
    }
    if (page->wants_count) {
        count(scans, page);
        return;
    }
    uint32_t at = first_wanted(scans, page);
    drop_entries(scans->store, page->found, at);
    status = take_entries(scans, page, &at);
    if (status != KV_OK || at < page->scan.n)
        stop(scans, page, at, status);
    else
        go_on(scans, page);
}

/* ---- asking the store ---- */

static uint32_t store_page_of(const struct kv_page *page)
{
    uint32_t left = page->max_keys - page->n - page->n_prefixes;
    bool takes_all = page->skips || page->wants_count || page->command->value.len != 0;
    return takes_all || left > KV_STORE_PAGE ? KV_STORE_PAGE : left;
}

static void ask(struct kv_scans *scans, struct kv_page *page)
{
    page->scan.entries = page->found;
    page->scan.capacity = store_page_of(page);
    page->scan.is_deferred = false;
    page->scan.status = KV_PENDING;
    page->scan.n = 0;
    page->scan.next = (struct kv_slice){0};
    page->scan.next_ref = NULL;
    scans->store->ops->scan(scans->store->store, scans->loop, &page->scan);
    if (page->scan.is_deferred)
        scans->n_deferred++;
    else
        take_page(scans, page);
}

static bool is_abandoned(const struct kv_command *command)
{
    return command->order != NULL && command->order->is_closed;
}

/* Returns: KV_OK, or the status that ends the command at once. *ret_is_over: nothing is left to
 * list. */
static int prepare(const struct kv_scans *scans, struct kv_command *command, bool *ret_is_over)
{
    if (kv_command_keep(command) != 0)
        return KV_FULL;
    if (command->value.len != 0 && !seeks(scans)) {
        command->refusal = "the store lists keys in no order, which a delimiter needs";
        return KV_INAPPLICABLE;
    }
    command->page->scan.prefix = command->key;
    return read_cursor(scans, command->page, command->argument, ret_is_over) ? KV_OK
                                                                             : KV_BAD_CURSOR;
}

void kv_scan_begin(struct kv_scans *scans, struct kv_command *command)
{
    struct kv_page *page = command->page;
    assert(page->max_keys >= 1 && page->max_keys <= KV_PAGE_MOST_KEYS);
    kv_command_mark_unsettled(command);
    bool is_over = false;
    int status = prepare(scans, command, &is_over);
    if (status != KV_OK || is_over) {
        kv_command_finish(command, status);
        return;
    }
    page->scan.wants_values = page->wants_values;
    page->charge.tally = kv_budget_tally(scans->parts->budget, scans->loop);
    command->state = KV_COMMAND_SUBMITTED;
    kv_queue_push(&scans->ready, &page->link);
}

static void collect(struct kv_scans *scans)
{
    struct kv_link *link = kv_inbox_take_all(&scans->done);
    while (link != NULL) {
        struct kv_page *page = KV_CONTAINER(link, struct kv_page, link);
        link = link->next;
        scans->n_deferred--;
        take_page(scans, page);
    }
}

void kv_scans_run(struct kv_scans *scans)
{
    collect(scans);
    struct kv_link *link;
    for (int i = 0; i < PAGES_A_TURN && (link = kv_queue_pop(&scans->ready)) != NULL; i++) {
        struct kv_page *page = KV_CONTAINER(link, struct kv_page, link);
        if (is_abandoned(page->command))
            kv_command_finish(page->command, KV_OK);
        else
            ask(scans, page);
    }
}

void kv_scans_done(struct kv_scans *scans, struct kv_scan *scan)
{
    kv_inbox_push(&scans->done, &KV_CONTAINER(scan, struct kv_page, scan)->link);
    kv_loop_wake(scans->parts->loops[scans->loop]);
}

bool kv_scans_have_work(struct kv_scans *scans)
{
    return !kv_queue_is_empty(&scans->ready) || !kv_inbox_is_empty(&scans->done);
}
