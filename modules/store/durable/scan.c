/*
 * A page is made in two steps, in this order: first the keys of changes that the engine lacks are
 * copied, as far as the page may extend; then a snapshot of the engine is walked. The published
 * state of a copied key takes precedence over its row. If memory no longer has that state, the
 * engine has got it since, perhaps after the snapshot: then the copied change is the state. So
 * every key of the page has a state that was published while the page was made, and a change that
 * was told before the page was requested is in it.
 *
 * A cursor is a mark and the last key passed; because of the mark, the cursor after the empty key
 * is not empty.
 */
#include "scan.h"

#include "overlay.h"

#define MARK KV_SLICE(">")

enum {
    PAGE_BYTES = 16 << 20, /* of keys and values; then a page with at least one entry is full */
    MOST_LAID_OVER = 1024  /* a page ends with the last of these */
};

struct page {
    const struct base *base;
    struct kv_scan *scan;
    struct kv_slice after; /* the last key of the previous page; no bytes: none */
    int64_t now_ms;
    struct entry *over[MOST_LAID_OVER]; /* changes that the engine lacks; references */
    size_t n_over, at_over;             /* those before at_over have been passed */
    struct entry *horizon; /* there are more after this key; a reference. NULL: there are not */
    size_t bytes;
    uint32_t n_passed;
    struct entry *last; /* the last key passed; a reference */
    bool has_more;
};

/* ---- changes that the engine lacks ---- */

static bool is_passed(const struct page *page, struct kv_slice key)
{
    return page->after.bytes != NULL && kv_slice_compare(key, page->after) <= 0;
}

/* As many as fill the page, and one that the previous page may have ended with; deleted keys do not
 * fill it. Returns: false if memory runs out. */
static bool lay_over(struct page *page, struct kv_slice from)
{
    struct overlay_keys keys = {.entries = page->over,
                                .most = MOST_LAID_OVER,
                                .most_there = (size_t)page->scan->capacity + 1};
    if (!overlay_copy(page->base->overlay, from, page->scan->prefix, &keys))
        return false;
    page->n_over = keys.n;
    if (keys.has_more)
        page->horizon = entry_ref(page->over[keys.n - 1]);
    if (keys.n != 0 && is_passed(page, entry_key(page->over[0])))
        page->at_over = 1;
    return true;
}

static void drop_laid_over(struct page *page)
{
    for (size_t i = 0; i < page->n_over; i++)
        entry_unref(page->over[i]);
    entry_unref(page->horizon);
}

/* Returns: the published state of a change's key, a reference; NULL: the key is missing. */
static struct entry *state_of(const struct page *page, struct entry *change)
{
    uint64_t generation;
    struct entry *state = NULL;
    enum glance glance =
        states_look(page->base->states, entry_key(change), change->hash, &state, &generation);
    if (glance == GLANCE_UNKNOWN && entry_is_there(change))
        return entry_ref(change);
    return state;
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
    struct entry *change = page->over[page->at_over];
    struct entry *state = state_of(page, change);
    page->has_more = state != NULL && is_full(page);
    if (!page->has_more) {
        page->at_over++;
        if (state != NULL)
            add(page, state);
        pass(page, entry_ref(change));
    }
    entry_unref(state);
    return !page->has_more;
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
           kv_slice_compare(entry_key(page->over[page->at_over]), key) < 0)
        if (!add_laid_over(page))
            return false;
    return page->horizon == NULL || kv_slice_compare(key, entry_key(page->horizon)) <= 0 ||
           !stop_at_horizon(page);
}

static bool is_laid_over(const struct page *page, struct kv_slice key)
{
    return page->at_over < page->n_over &&
           kv_slice_equals(entry_key(page->over[page->at_over]), key);
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
