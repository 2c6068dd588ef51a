/*
 * Entries lie in chunks, so that the log grows at both ends without being copied within a store's
 * critical section. They are in the order of revisions: an entry that comes late is moved towards
 * the front past those with larger revisions, which are few.
 *
 * Invariant: while the log runs, every change above `begins_after` and at or below the watermark
 * has an entry among first … end-1. A change that found the log not running took its revision
 * before the log began, so it is not above the store's newest revision of that moment.
 */
#include "keyspace/change_log.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
    CHUNK = 256, /* entries */
    FIRST_CHUNKS = 8,
    LONG_VALUES = 16,     /* a value longer than this fraction of the log's size is not kept */
    MOST_LOOKED_AT = 512, /* entries, for one page */
    MOST_TIDIED = 256,    /* entries, at a time */
    TIDY_INTERVAL_MS = 100
};

/* The number of the first entry: as many can be put before it. */
#define MIDDLE (UINT64_C(1) << 62)

struct entry {
    enum kv_reason reason;
    uint64_t revision;
    int64_t at_ms;
    uint64_t bytes;
    struct kv_slice key;
    struct kv_item after; /* with a reference; none if the value is not kept, or was removed: */
    char *own_key;        /* then this is a copy of the key */
};

struct kv_log_chunk {
    struct entry entries[CHUNK];
};

void kv_change_log_init(struct kv_change_log *log, const struct kv_store_link *store,
                        const struct kv_keyspace_parts *parts, const struct kv_watermark *watermark)
{
    bool is_needed =
        watermark->kind != KV_WATERMARK_UNKNOWN && (parts->store_capabilities & KV_STORE_LOG) == 0;
    log->store = store;
    log->parts = parts;
    log->watermark = watermark;
    log->max_bytes = is_needed ? parts->log_bytes : 0;
    log->age_ms = parts->log_ms;
    log->unreleased = log->first = log->end = log->tidied_end = MIDDLE;
    atomic_init(&log->tidy_at_ms, INT64_MAX);
    pthread_mutex_init(&log->lock, NULL);
}

/* ---- the ring ---- */

static struct entry *at(const struct kv_change_log *log, uint64_t i)
{
    return &log->chunks[i / CHUNK % log->n_chunks]->entries[i % CHUNK];
}

/* The number of the chunk behind the last. */
static uint64_t chunks_end(const struct kv_change_log *log)
{
    return (log->end + CHUNK - 1) / CHUNK;
}

static void grow_ring(struct kv_change_log *log)
{
    size_t n = log->n_chunks == 0 ? FIRST_CHUNKS : 2 * log->n_chunks;
    struct kv_log_chunk **chunks = kv_calloc(n, sizeof(*chunks));
    for (uint64_t i = log->unreleased / CHUNK; i < chunks_end(log); i++)
        /* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): with n_chunks 0 this loop does not run */
        chunks[i % n] = log->chunks[i % log->n_chunks];
    free(log->chunks);
    log->chunks = chunks;
    log->n_chunks = n;
}

/* The chunk before the first one, or the one behind the last. */
static void add_chunk(struct kv_change_log *log, uint64_t chunk)
{
    if (chunks_end(log) - log->unreleased / CHUNK == log->n_chunks)
        grow_ring(log);
    log->chunks[chunk % log->n_chunks] = kv_alloc(sizeof(struct kv_log_chunk));
}

/* Makes room for the entry number `end`. */
static void extend(struct kv_change_log *log)
{
    if (log->end % CHUNK == 0)
        add_chunk(log, log->end / CHUNK);
}

static void insert(struct kv_change_log *log, const struct entry *entry)
{
    extend(log);
    uint64_t i = log->end++;
    for (; i > log->first && at(log, i - 1)->revision > entry->revision; i--)
        *at(log, i) = *at(log, i - 1);
    *at(log, i) = *entry;
    log->bytes += entry->bytes;
}

/* No dropped entry waits to be released. */
static void put_first(struct kv_change_log *log, const struct entry *entry)
{
    if (log->first % CHUNK == 0)
        add_chunk(log, log->first / CHUNK - 1);
    log->unreleased = --log->first;
    *at(log, log->first) = *entry;
    log->bytes += entry->bytes;
}

static void drop_first(struct kv_change_log *log)
{
    const struct entry *entry = at(log, log->first++);
    log->bytes -= entry->bytes;
    log->begins_after = entry->revision;
}

/* The first entry above the revision. */
static uint64_t find_after(const struct kv_change_log *log, uint64_t revision)
{
    uint64_t low = log->first, high = log->end;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (at(log, middle)->revision > revision)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* ---- tidying ---- */

static int64_t now_ms(const struct kv_change_log *log)
{
    return kv_clock_now_ms(log->parts->clock);
}

/* For stores with threads of their own: all loops may be asleep. */
static void wake_a_loop(const struct kv_change_log *log)
{
    if (!log->store->is_sync)
        kv_loop_wake(log->parts->loops[0]);
}

static void plan(struct kv_change_log *log, int64_t at_ms)
{
    if (at_ms >= atomic_load(&log->tidy_at_ms))
        return;
    atomic_store(&log->tidy_at_ms, at_ms);
    wake_a_loop(log);
}

static int64_t past(int64_t from_ms, int64_t span_ms)
{
    return from_ms > INT64_MAX - span_ms ? INT64_MAX : from_ms + span_ms;
}

static void plan_anew(struct kv_change_log *log)
{
    if (log->unreleased < log->first)
        plan(log, INT64_MIN);
    else if (log->first < log->end)
        plan(log, past(at(log, log->first)->at_ms, log->age_ms));
}

static bool is_abandoned(const struct kv_change_log *log, int64_t at_ms)
{
    return log->n_users == 0 && past(log->left_at_ms, log->age_ms) <= at_ms;
}

static bool first_is_old(const struct kv_change_log *log, int64_t at_ms)
{
    return past(at(log, log->first)->at_ms, log->age_ms) <= at_ms;
}

static void drop_old(struct kv_change_log *log, int64_t at_ms)
{
    if (is_abandoned(log, at_ms))
        atomic_store(&log->is_running, false);
    for (int i = 0; i < MOST_TIDIED && log->first < log->end; i++) {
        if (atomic_load(&log->is_running) && !first_is_old(log, at_ms))
            return;
        drop_first(log);
    }
}

/* The time of the next work; entries that grow too old at about the same time are dropped
 * together. */
static int64_t next_ms(const struct kv_change_log *log, int64_t at_ms)
{
    bool is_running = atomic_load(&log->is_running), is_empty = log->first == log->end;
    if (log->unreleased < log->first || (!is_empty && (!is_running || first_is_old(log, at_ms))))
        return INT64_MIN;
    if (!is_running)
        return INT64_MAX;
    int64_t next = is_empty ? INT64_MAX : past(at(log, log->first)->at_ms, log->age_ms);
    if (log->n_users == 0 && past(log->left_at_ms, log->age_ms) < next)
        next = past(log->left_at_ms, log->age_ms);
    return next < at_ms + TIDY_INTERVAL_MS ? at_ms + TIDY_INTERVAL_MS : next;
}

/* Takes dropped entries out of the ring. Returns: how many. */
static uint32_t take_dropped(struct kv_change_log *log, struct entry *entries)
{
    uint32_t n = 0;
    while (n < MOST_TIDIED && log->unreleased < log->first) {
        entries[n++] = *at(log, log->unreleased++);
        if (log->unreleased % CHUNK == 0)
            free(log->chunks[(log->unreleased / CHUNK - 1) % log->n_chunks]);
    }
    return n;
}

static void release(struct kv_change_log *log, struct entry *entries, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        kv_item_release(log->store, &entries[i].after);
        free(entries[i].own_key);
    }
}

/* Returns: how many entries were appended since the last time. */
static uint64_t begin_tidying(struct kv_change_log *log, int64_t at_ms)
{
    pthread_mutex_lock(&log->lock);
    drop_old(log, at_ms);
    uint64_t n_new = log->end - log->tidied_end;
    log->tidied_end = log->end;
    pthread_mutex_unlock(&log->lock);
    return n_new;
}

/* Returns: how many entries were released. */
static uint32_t release_some(struct kv_change_log *log, int64_t at_ms)
{
    struct entry entries[MOST_TIDIED];
    pthread_mutex_lock(&log->lock);
    uint32_t n = take_dropped(log, entries);
    atomic_store(&log->tidy_at_ms, next_ms(log, at_ms));
    pthread_mutex_unlock(&log->lock);
    release(log, entries, n);
    return n;
}

/* A turn may append more entries than are released at a time, and each may push an old one out. So
 * at least as many are released as were appended, or dropped entries would pile up. */
void kv_change_log_tidy(struct kv_change_log *log)
{
    if (atomic_load_explicit(&log->tidy_at_ms, memory_order_relaxed) == INT64_MAX)
        return;
    int64_t at_ms = now_ms(log);
    if (atomic_load(&log->tidy_at_ms) > at_ms)
        return;
    uint64_t n_new = begin_tidying(log, at_ms), n_released = 0;
    uint32_t n;
    do {
        n = release_some(log, at_ms);
        n_released += n;
    } while (n == MOST_TIDIED && n_released < n_new);
}

static uint32_t take_any(struct kv_change_log *log, struct entry *entries)
{
    pthread_mutex_lock(&log->lock);
    atomic_store(&log->is_running, false);
    log->first = log->end;
    uint32_t n = take_dropped(log, entries);
    pthread_mutex_unlock(&log->lock);
    return n;
}

void kv_change_log_end(struct kv_change_log *log)
{
    struct entry entries[MOST_TIDIED];
    for (uint32_t n; (n = take_any(log, entries)) != 0;)
        release(log, entries, n);
}

void kv_change_log_fini(struct kv_change_log *log)
{
    if (log->end % CHUNK != 0)
        free(log->chunks[log->end / CHUNK % log->n_chunks]);
    free(log->chunks);
    pthread_mutex_destroy(&log->lock);
}

/* ---- clients that could resume ---- */

static void begin(struct kv_change_log *log)
{
    while (log->first < log->end)
        drop_first(log);
    atomic_store(&log->is_running, true);
    log->begins_after = kv_watermark_newest(log->watermark);
    if (log->lost_upto > log->begins_after)
        log->begins_after = log->lost_upto;
    log->began_after = log->begins_after;
    plan_anew(log);
}

void kv_change_log_join(struct kv_change_log *log)
{
    if (log->max_bytes == 0)
        return;
    pthread_mutex_lock(&log->lock);
    log->n_users++;
    if (!atomic_load(&log->is_running))
        begin(log);
    pthread_mutex_unlock(&log->lock);
}

void kv_change_log_leave(struct kv_change_log *log)
{
    if (log->max_bytes == 0)
        return;
    pthread_mutex_lock(&log->lock);
    if (--log->n_users == 0) {
        log->left_at_ms = now_ms(log);
        plan(log, past(log->left_at_ms, log->age_ms));
    }
    pthread_mutex_unlock(&log->lock);
}

/* ---- appending ---- */

/* Returns: false if there is no memory. */
static bool copy_key(struct entry *entry, struct kv_slice key)
{
    entry->own_key = kv_try_alloc(key.len + 1);
    if (entry->own_key == NULL)
        return false;
    if (key.len != 0)
        memcpy(entry->own_key, key.bytes, key.len);
    entry->key = (struct kv_slice){entry->own_key, key.len};
    return true;
}

static bool keeps_item(const struct kv_change_log *log, const struct kv_change *change)
{
    return change->after.revision != 0 && change->after.value.len <= log->max_bytes / LONG_VALUES;
}

static uint64_t bytes_of(const struct kv_change_log *log, const struct kv_change *change)
{
    uint64_t bytes = sizeof(struct entry) + change->key.len;
    return keeps_item(log, change) ? bytes + change->after.value.len : bytes;
}

/* Returns: false if there is no memory. */
static bool make_entry(const struct kv_change_log *log, const struct kv_change *change,
                       int64_t at_ms, struct entry *ret_entry)
{
    *ret_entry = (struct entry){.reason = change->reason,
                                .revision = change->revision,
                                .at_ms = at_ms,
                                .bytes = bytes_of(log, change),
                                .key = change->key};
    if (!keeps_item(log, change))
        return copy_key(ret_entry, change->key);
    ret_entry->after = kv_item_share(log->store, &change->after);
    return true;
}

/* If an entry cannot be kept, the log begins after it. */
static void forget(struct kv_change_log *log, uint64_t revision)
{
    while (log->first < log->end)
        drop_first(log);
    if (revision > log->begins_after)
        log->begins_after = revision;
}

static void append(struct kv_change_log *log, const struct kv_change *change)
{
    struct entry entry;
    if (change->revision <= log->begins_after || change->revision <= log->began_after)
        return;
    if (make_entry(log, change, now_ms(log), &entry))
        insert(log, &entry);
    else
        forget(log, change->revision);
    while (log->bytes > log->max_bytes)
        drop_first(log);
    plan_anew(log);
}

void kv_change_log_append(struct kv_change_log *log, const struct kv_change *change)
{
    pthread_mutex_lock(&log->lock);
    if (atomic_load(&log->is_running))
        append(log, change);
    pthread_mutex_unlock(&log->lock);
}

/* ---- changes from before it began ---- */

uint64_t kv_change_log_begins_after(struct kv_change_log *log)
{
    pthread_mutex_lock(&log->lock);
    uint64_t revision = log->begins_after;
    pthread_mutex_unlock(&log->lock);
    return revision;
}

/* If anything was dropped meanwhile, the log no longer begins there, or entries wait to be
 * released. */
static bool joins_on(const struct kv_change_log *log, uint64_t after, uint64_t upto,
                     const struct kv_change *change)
{
    return atomic_load(&log->is_running) && upto == log->begins_after && after >= log->lost_upto &&
           after < change->revision && change->revision <= upto && log->unreleased == log->first;
}

static bool has_room_for(const struct kv_change_log *log, const struct kv_change *change,
                         int64_t at_ms)
{
    return log->bytes + bytes_of(log, change) <= log->max_bytes &&
           past(at_ms, log->age_ms) > now_ms(log);
}

bool kv_change_log_remember(struct kv_change_log *log, uint64_t after, uint64_t upto,
                            const struct kv_change *change, int64_t at_ms)
{
    struct entry entry;
    pthread_mutex_lock(&log->lock);
    bool is_taken = joins_on(log, after, upto, change) && has_room_for(log, change, at_ms) &&
                    make_entry(log, change, at_ms, &entry);
    if (is_taken) {
        put_first(log, &entry);
        log->begins_after = after;
        plan_anew(log);
    }
    pthread_mutex_unlock(&log->lock);
    return is_taken;
}

/* ---- losing changes ---- */

/* Also while the log does not run: it may begin again without a change in between. */
void kv_change_log_lose(struct kv_change_log *log, uint64_t revision)
{
    pthread_mutex_lock(&log->lock);
    log->lost_upto = revision;
    forget(log, revision);
    plan_anew(log);
    pthread_mutex_unlock(&log->lock);
}

/* ---- reading ---- */

/* The key of an entry without a value is copied again, as the log may drop its own at any time.
 * Returns: false if there is no memory. */
static bool lend(const struct kv_change_log *log, struct kv_log_page *page,
                 const struct entry *entry)
{
    struct entry copy = {.key = entry->key};
    if (entry->own_key != NULL && !copy_key(&copy, entry->key)) {
        page->status = KV_FULL;
        return false;
    }
    page->entries[page->n++] =
        (struct kv_log_entry){.reason = entry->reason,
                              .revision = entry->revision,
                              .key = copy.key,
                              .after = kv_item_share(log->store, &entry->after),
                              .ref = copy.own_key};
    return true;
}

void kv_change_log_release(struct kv_change_log *log, struct kv_log_entry *entry)
{
    kv_item_release(log->store, &entry->after);
    free(entry->ref);
}

static bool has_room(const struct kv_log_page *page, size_t bytes, const struct entry *entry)
{
    return page->n < page->capacity &&
           (page->n == 0 || bytes + entry->key.len + entry->after.value.len <= page->most_bytes);
}

static bool is_without_value(const struct entry *entry)
{
    return entry->reason == KV_REASON_SET && entry->after.revision == 0;
}

/* Entries from `i` on, up to the watermark. */
static void fill(const struct kv_change_log *log, struct kv_log_page *page, uint64_t i,
                 uint64_t watermark)
{
    size_t bytes = 0;
    for (int looked_at = 0; i < log->end && at(log, i)->revision <= watermark; i++, looked_at++) {
        const struct entry *entry = at(log, i);
        bool is_wanted = page->wants == NULL || page->wants(page, entry->key);
        if (looked_at == MOST_LOOKED_AT || (is_wanted && !has_room(page, bytes, entry)))
            return;
        page->upto = entry->revision;
        if (!is_wanted)
            continue;
        if (!lend(log, page, entry))
            return;
        bytes += entry->key.len + entry->after.value.len;
        if (is_without_value(entry))
            return;
    }
    page->is_last = true;
    if (watermark > page->after)
        page->upto = watermark;
}

/* A revision from before the log began that no change has: the store has lost that change since,
 * unnoticed by this server. */
static bool was_lost(const struct kv_change_log *log, uint64_t revision)
{
    if (revision >= log->began_after || revision == log->begins_after)
        return false;
    uint64_t next = find_after(log, revision);
    return next == log->first || at(log, next - 1)->revision != revision;
}

void kv_change_log_read(struct kv_change_log *log, struct kv_log_page *page)
{
    uint64_t newest = kv_watermark_newest(log->watermark);
    uint64_t watermark = kv_watermark_now(log->watermark);
    page->n = 0;
    page->upto = page->after;
    page->is_last = false;
    page->status = KV_OK;
    pthread_mutex_lock(&log->lock);
    if (!atomic_load(&log->is_running) || page->after < log->begins_after || page->after > newest ||
        was_lost(log, page->after))
        page->status = KV_TRIMMED;
    else
        fill(log, page, find_after(log, page->after), watermark);
    pthread_mutex_unlock(&log->lock);
}

/* ---- metrics ---- */

void kv_change_log_collect(struct kv_change_log *log, struct kv_metrics_text *text)
{
    static const struct kv_metric bytes_metric = {"kvserver_change_log_bytes", KV_METRIC_GAUGE,
                                                  "bytes", "The change log in memory"};
    static const struct kv_metric entries_metric = {"kvserver_change_log_changes", KV_METRIC_GAUGE,
                                                    NULL, "Changes in the change log in memory"};
    if (log->max_bytes == 0)
        return;
    pthread_mutex_lock(&log->lock);
    uint64_t bytes = log->bytes;
    uint64_t n = log->end - log->first;
    pthread_mutex_unlock(&log->lock);
    kv_metrics_number(text, &bytes_metric, bytes);
    kv_metrics_number(text, &entries_metric, n);
}
