/*
 * A cursor is opaque to clients. It is where the store's next page begins:
 *
 *   'p' <the store's cursor>
 *
 * or, where the limit of bytes was reached within a page of the store, where that page began and
 * the last key that was returned of it:
 *
 *   'k' <length of the store's cursor, 4 bytes> <the store's cursor> <the key>
 *
 * Then the page is read again, and its keys are skipped up to that one; in a store without order
 * from which the key is gone meanwhile, the page is returned again.
 */
#include "keyspace/scan.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
    PAGES_A_TURN = 8,
    MOST_PAGES = 256, /* of a command */
    ENTRY_BYTES = 64, /* counted for each key besides its bytes */
    CURSOR_HEAD = 5,
    FIRST_CAPACITY = 16
};

void kv_scans_init(struct kv_scans *scans, const struct kv_store_link *store,
                   const struct kv_keyspace_parts *parts, uint32_t loop)
{
    *scans = (struct kv_scans){.store = store,
                               .parts = parts,
                               .loop = loop,
                               .is_ordered = (parts->store_capabilities & KV_STORE_ORDERED) != 0};
    kv_queue_init(&scans->ready);
}

/* ---- cursors ---- */

/* Returns: false where it is none. */
static bool read_cursor(struct kv_page *page, struct kv_slice cursor)
{
    uint32_t len;
    if (cursor.len == 0)
        return true;
    if (cursor.bytes[0] == 'p') {
        page->scan.cursor = (struct kv_slice){cursor.bytes + 1, cursor.len - 1};
        return cursor.len > 1;
    }
    if (cursor.bytes[0] != 'k' || cursor.len < CURSOR_HEAD)
        return false;
    memcpy(&len, cursor.bytes + 1, sizeof(len));
    len = le32toh(len);
    if (len > cursor.len - CURSOR_HEAD)
        return false;
    page->scan.cursor = (struct kv_slice){cursor.bytes + CURSOR_HEAD, len};
    page->skip_to =
        (struct kv_slice){cursor.bytes + CURSOR_HEAD + len, cursor.len - CURSOR_HEAD - len};
    page->skips = true;
    return true;
}

/* Returns: KV_OK, or KV_FULL. */
static int write_cursor(struct kv_page *page, const struct kv_slice *last_key)
{
    struct kv_slice from = page->scan.cursor;
    size_t size = CURSOR_HEAD + from.len + (last_key == NULL ? 0 : last_key->len);
    if (kv_buffer_try_reserve(&page->cursor, size) == NULL)
        return KV_FULL;
    kv_buffer_append_char(&page->cursor, last_key == NULL ? 'p' : 'k');
    if (last_key != NULL) {
        uint32_t len = htole32((uint32_t)from.len);
        kv_buffer_append(&page->cursor, (struct kv_slice){(const char *)&len, sizeof(len)});
    }
    kv_buffer_append(&page->cursor, from);
    if (last_key != NULL)
        kv_buffer_append(&page->cursor, *last_key);
    return KV_OK;
}

/* ---- a page of the store ---- */

static void drop_entries(const struct kv_store_link *store, struct kv_scan_entry *entries,
                         uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        kv_item_release(store, &entries[i].item);
}

/* Where to go on in a page that was returned in part. */
static uint32_t first_wanted(const struct kv_scans *scans, const struct kv_page *page)
{
    const struct kv_scan *scan = &page->scan;
    if (!page->skips)
        return 0;
    for (uint32_t i = 0; i < scan->n; i++) {
        int order = kv_slice_compare(scan->entries[i].key, page->skip_to);
        if (order == 0)
            return i + 1;
        if (scans->is_ordered && order > 0)
            return i;
    }
    return scans->is_ordered ? scan->n : 0;
}

static uint64_t size_of(const struct kv_page *page, const struct kv_scan_entry *entry)
{
    return ENTRY_BYTES + entry->key.len + (page->wants_values ? entry->item.value.len : 0);
}

static bool has_room(const struct kv_page *page, const struct kv_scan_entry *entry)
{
    if (page->n == page->max_keys)
        return false;
    return page->n == 0 || page->bytes + size_of(page, entry) <= page->max_bytes;
}

/* Returns: false where there is no memory. */
static bool grow(struct kv_page *page)
{
    uint32_t capacity = page->capacity == 0 ? FIRST_CAPACITY : 2 * page->capacity;
    struct kv_scan_entry *more = reallocarray(page->entries, capacity, sizeof(*more));
    if (more == NULL)
        return false;
    page->entries = more;
    page->capacity = capacity;
    return true;
}

/* Moves entries from the store's page to the command's, from `*at` on, which is left at the first
 * that has no room. Returns: KV_OK, or KV_FULL. */
static int take_entries(struct kv_page *page, uint32_t *at)
{
    for (; *at < page->scan.n && has_room(page, &page->found[*at]); ++*at) {
        if (page->n == page->capacity && !grow(page))
            return KV_FULL;
        page->bytes += size_of(page, &page->found[*at]);
        page->entries[page->n++] = page->found[*at];
    }
    return KV_OK;
}

static void set_cursor(const struct kv_scans *scans, struct kv_page *page, struct kv_slice cursor,
                       void *cursor_ref)
{
    if (page->cursor_ref != NULL)
        scans->store->ops->unref(scans->store->store, page->cursor_ref);
    page->scan.cursor = cursor;
    page->cursor_ref = cursor_ref;
    page->skips = false;
}

/* ---- the end ---- */

/* From deadline on no reader sees a key, and pages of several turns may have some that are past
 * theirs. */
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

/* The store's page was taken as a whole. */
static void go_on(struct kv_scans *scans, struct kv_page *page)
{
    struct kv_slice next = page->scan.next;
    set_cursor(scans, page, next, page->scan.next_ref);
    page->scan.next_ref = NULL;
    if (next.len == 0)
        finish(scans, page, KV_OK);
    else if (page->n == page->max_keys || ++page->n_store_pages == MOST_PAGES)
        finish(scans, page, write_cursor(page, NULL));
    else
        kv_queue_push(&scans->ready, &page->link);
}

/* The command's page is full within the store's, or there is no memory for more of it. */
static void stop(struct kv_scans *scans, struct kv_page *page, uint32_t at, int status)
{
    if (status == KV_OK)
        status = write_cursor(page, at == 0 ? NULL : &page->found[at - 1].key);
    drop_entries(scans->store, page->found + at, page->scan.n - at);
    if (page->scan.next_ref != NULL)
        scans->store->ops->unref(scans->store->store, page->scan.next_ref);
    finish(scans, page, status);
}

static void take_page(struct kv_scans *scans, struct kv_page *page)
{
    int status = (int)page->scan.status;
    if (status != KV_OK) {
        finish(scans, page, status == KV_CONDITION ? KV_BAD_CURSOR : status);
        return;
    }
    uint32_t at = first_wanted(scans, page);
    drop_entries(scans->store, page->found, at);
    status = take_entries(page, &at);
    if (status != KV_OK || at < page->scan.n)
        stop(scans, page, at, status);
    else
        go_on(scans, page);
}

/* ---- asking the store ---- */

static uint32_t store_page_of(const struct kv_page *page)
{
    uint32_t left = page->max_keys - page->n;
    return page->skips || left > KV_STORE_PAGE ? KV_STORE_PAGE : left;
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

void kv_scan_begin(struct kv_scans *scans, struct kv_command *command)
{
    struct kv_page *page = command->page;
    assert(page->max_keys >= 1 && page->max_keys <= KV_PAGE_MOST_KEYS);
    kv_command_mark_unsettled(command);
    if (kv_command_keep(command) != 0) {
        kv_command_finish(command, KV_FULL);
        return;
    }
    if (!read_cursor(page, command->argument)) {
        kv_command_finish(command, KV_BAD_CURSOR);
        return;
    }
    page->scan.prefix = command->key;
    page->scan.wants_values = page->wants_values;
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
