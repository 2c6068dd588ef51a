/*
 * A page is made in two steps, in this order: first the keys of changes that the engine lacks are
 * copied, with their published states, as far as the page may extend; then a snapshot of the engine
 * is walked. A change that the engine gets in between is in the snapshot, and the state from memory
 * takes precedence. So every key of the page has a state that was published while the page was
 * made, and a change that was told before the page was requested is in it.
 *
 * A cursor is a mark and the last key passed; because of the mark, the cursor after the empty key
 * is not empty.
 */
#include "scan.h"

#include "overlay.h"

#define MARK KV_SLICE(">")

enum {
    PAGE_BYTES = 16 << 20, /* of keys and values; then a page with at least one entry is full */
    MOST_LAID_OVER = 1024  /* keys that the engine lacks: a page ends with the last of these */
};

/* A key that the engine lacks. */
struct laid_over {
    struct entry *key;   /* an entry with this key; a reference */
    struct entry *state; /* the published state; a reference. NULL: the key is missing */
};

struct page {
    const struct base *base;
    struct kv_scan *scan;
    struct kv_slice after; /* the last key of the previous page; no bytes: none */
    int64_t now_ms;
    struct laid_over over[MOST_LAID_OVER];
    size_t n_over, at_over; /* those before at_over have been passed */
    struct entry *horizon;  /* there are more after this key; a reference. NULL: there are not */
    size_t bytes;
    uint32_t n_passed;
    struct entry *last; /* the last key passed; a reference */
    bool has_more;
};

/* ---- keys that the engine lacks ---- */

/* Returns: false if the engine now has the key's state. */
static bool look_up(const struct base *base, struct entry *key, struct laid_over *ret)
{
    uint64_t generation;
    struct entry *state = NULL;
    enum glance glance = states_look(base->states, entry_key(key), key->hash, &state, &generation);
    *ret = (struct laid_over){.key = key, .state = state};
    return glance != GLANCE_UNKNOWN;
}

static bool is_passed(const struct page *page, struct kv_slice key)
{
    return page->after.bytes != NULL && kv_slice_compare(key, page->after) <= 0;
}

static void keep_those_in_memory(struct page *page, struct entry *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_passed(page, entry_key(keys[i])) &&
            look_up(page->base, keys[i], &page->over[page->n_over]))
            page->n_over++;
        else
            entry_unref(keys[i]);
    }
}

/* Returns: false if memory runs out. */
static bool lay_over(struct page *page, struct kv_slice from)
{
    struct entry *keys[MOST_LAID_OVER];
    size_t n = overlay_copy(page->base->overlay, from, page->scan->prefix, keys, MOST_LAID_OVER);
    if (n == SIZE_MAX)
        return false;
    if (n > MOST_LAID_OVER)
        page->horizon = entry_ref(keys[(n = MOST_LAID_OVER) - 1]);
    keep_those_in_memory(page, keys, n);
    return true;
}

static void drop_laid_over(struct page *page)
{
    for (size_t i = 0; i < page->n_over; i++) {
        entry_unref(page->over[i].key);
        entry_unref(page->over[i].state);
    }
    entry_unref(page->horizon);
}

/* ---- the page ---- */

static bool is_full(const struct page *page)
{
    return page->n_passed == page->scan->capacity || page->bytes >= PAGE_BYTES;
}

/* The next page continues after it. Takes ownership of the reference. */
static void pass(struct page *page, struct entry *key)
{
    entry_unref(page->last);
    page->last = key;
}

static void add(struct page *page, struct entry *state)
{
    struct kv_scan *scan = page->scan;
    page->n_passed++;
    page->bytes += state->key_len + state->value_len;
    if (page->now_ms < state->deadline_ms)
        scan->entries[scan->n++] =
            (struct kv_scan_entry){.key = entry_key(state), .item = entry_item(entry_ref(state))};
}

/* Returns: whether to go on. */
static bool add_laid_over(struct page *page)
{
    const struct laid_over *over = &page->over[page->at_over];
    page->has_more = over->state != NULL && is_full(page);
    if (page->has_more)
        return false;
    page->at_over++;
    if (over->state != NULL)
        add(page, over->state);
    pass(page, entry_ref(over->key));
    return true;
}

/* Everything up to it has been passed. Returns: true. */
static bool stop_at_horizon(struct page *page)
{
    pass(page, entry_ref(page->horizon));
    page->has_more = true;
    return true;
}

/* Adds those before the key. Returns: whether to go on. */
static bool add_those_before(struct page *page, struct kv_slice key)
{
    while (page->at_over < page->n_over &&
           kv_slice_compare(entry_key(page->over[page->at_over].key), key) < 0)
        if (!add_laid_over(page))
            return false;
    return page->horizon == NULL || kv_slice_compare(key, entry_key(page->horizon)) <= 0 ||
           !stop_at_horizon(page);
}

static bool is_laid_over(const struct page *page, struct kv_slice key)
{
    return page->at_over < page->n_over &&
           kv_slice_equals(entry_key(page->over[page->at_over].key), key);
}

static bool add_row(struct page *page, struct kv_slice key, struct kv_slice row)
{
    const struct base *base = page->base;
    bool is_damaged;
    page->has_more = is_full(page);
    if (page->has_more)
        return false;
    if (!page->scan->wants_values)
        row = record_without_value(row);
    struct entry *state =
        record_read(key, base->host->hash(base->host, key), row, base->clock, &is_damaged);
    if (state == NULL) {
        page->scan->status = KV_IO;
        return false;
    }
    add(page, state);
    pass(page, state);
    return true;
}

static bool visit(void *context, struct kv_slice key, struct kv_slice row)
{
    struct page *page = context;
    if (is_passed(page, key))
        return true;
    if (!kv_slice_has_prefix(key, page->scan->prefix) || !add_those_before(page, key))
        return false;
    return is_laid_over(page, key) ? add_laid_over(page) : add_row(page, key, row);
}

/* Behind the last row that was walked. */
static void add_the_rest(struct page *page)
{
    while (page->at_over < page->n_over)
        if (!add_laid_over(page))
            return;
    if (page->horizon != NULL)
        stop_at_horizon(page);
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

/* Where the walk begins. */
static struct kv_slice first_key(struct page *page)
{
    const struct kv_scan *scan = page->scan;
    struct kv_slice from = scan->start;
    if (scan->cursor.len != 0)
        from = page->after = (struct kv_slice){.bytes = scan->cursor.bytes + MARK.len,
                                               .len = scan->cursor.len - MARK.len};
    return kv_slice_compare(from, scan->prefix) > 0 ? from : scan->prefix;
}

static void walk(struct page *page, struct kv_slice from)
{
    const struct base *base = page->base;
    struct kv_scan *scan = page->scan;
    scan->status = KV_OK;
    if (base->ops->walk(base->engine, KV_ENGINE_RECORDS, from, visit, page) != KV_ENGINE_OK)
        scan->status = KV_IO;
    if (scan->status == KV_OK && !page->has_more)
        add_the_rest(page);
    if (scan->status == KV_OK && page->has_more)
        write_cursor(page);
    if (scan->status != KV_OK)
        drop_page(scan);
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
    struct page page = {.base = base, .scan = scan, .now_ms = base_now_ms(base)};
    scan_fail(scan, KV_PENDING); /* an empty page */
    if (scan->cursor.len != 0 && !kv_slice_has_prefix(scan->cursor, MARK)) {
        scan->status = KV_CONDITION;
        return;
    }
    struct kv_slice from = first_key(&page);
    if (lay_over(&page, from))
        walk(&page, from);
    else
        scan->status = KV_FULL;
    drop_laid_over(&page);
    entry_unref(page.last);
}
