/*
 * Scans, on the writer's thread, between batches: what the engine has is then what is published.
 * A cursor is a mark and the last key seen; the mark keeps the cursor behind the empty key from
 * being empty.
 */
#include "scan.h"

#define MARK KV_SLICE(">")

enum {
    PAGE_BYTES = 16 << 20 /* of values; then a page is as full as can be, if it has one */
};

struct page {
    const struct base *base;
    struct kv_scan *scan;
    struct kv_slice behind; /* the last key of the page before, where there is a cursor */
    int64_t now_ms;
    uint32_t n_seen;
    size_t bytes;
    struct entry *last; /* the last one seen; a reference */
    bool has_more;
};

static bool is_full(const struct page *page)
{
    return page->n_seen == page->scan->capacity || page->bytes >= PAGE_BYTES;
}

/* Whatever becomes of it, it has been seen, and the next page goes on behind it. */
static void see(struct page *page, struct entry *entry)
{
    struct kv_scan *scan = page->scan;
    page->n_seen++;
    page->bytes += entry->value_len;
    entry_unref(page->last);
    page->last = entry;
    if (page->now_ms < entry->deadline_ms)
        scan->entries[scan->n++] =
            (struct kv_scan_entry){.key = entry_key(entry), .item = entry_item(entry_ref(entry))};
}

static bool visit(void *context, struct kv_slice key, struct kv_slice row)
{
    struct page *page = context;
    if (page->scan->cursor.len != 0 && kv_slice_compare(key, page->behind) <= 0)
        return true;
    if (!kv_slice_has_prefix(key, page->scan->prefix))
        return false;
    page->has_more = is_full(page);
    if (page->has_more)
        return false;
    bool is_damaged;
    uint64_t hash = page->base->host->hash(page->base->host, key);
    struct entry *entry = record_read(key, hash, row, page->base->clock, &is_damaged);
    if (entry == NULL) {
        page->scan->status = KV_IO;
        return false;
    }
    see(page, entry);
    return true;
}

/* The bytes of the mark and the key, counted like an item's. */
static void write_cursor(struct page *page)
{
    struct kv_scan *scan = page->scan;
    struct entry *cursor = entry_create(MARK, 0, entry_key(page->last), 1, KV_NEVER);
    if (cursor == NULL) {
        scan->status = KV_IO;
        return;
    }
    scan->next = (struct kv_slice){.bytes = cursor->bytes, .len = MARK.len + page->last->key_len};
    scan->next_ref = cursor;
}

static void drop_page(struct kv_scan *scan)
{
    while (scan->n != 0)
        entry_unref(scan->entries[--scan->n].item.ref);
}

static void fill(const struct base *base, struct kv_scan *scan)
{
    struct page page = {.base = base, .scan = scan, .now_ms = base_now_ms(base)};
    struct kv_slice from = scan->prefix;
    if (scan->cursor.len != 0) {
        page.behind = (struct kv_slice){.bytes = scan->cursor.bytes + MARK.len,
                                        .len = scan->cursor.len - MARK.len};
        if (kv_slice_compare(page.behind, from) > 0)
            from = page.behind;
    }
    scan->status = KV_OK;
    if (base->ops->walk(base->engine, KV_ENGINE_RECORDS, from, visit, &page) != KV_ENGINE_OK)
        scan->status = KV_IO;
    if (scan->status == KV_OK && page.has_more)
        write_cursor(&page);
    if (scan->status != KV_OK)
        drop_page(scan);
    entry_unref(page.last);
}

void scan_fail(struct kv_scan *scan, enum kv_status why)
{
    scan->n = 0;
    scan->next = (struct kv_slice){0};
    scan->next_ref = NULL;
    scan->status = why;
}

void scan_fill(const struct base *base, struct kv_scan *scan)
{
    scan_fail(scan, KV_PENDING); /* an empty page */
    if (scan->cursor.len != 0 && !kv_slice_has_prefix(scan->cursor, MARK))
        scan->status = KV_CONDITION;
    else
        fill(base, scan);
}
