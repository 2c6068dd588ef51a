/*
 * Each shard has its own keys in order; a walk merges the shards. It reads a few keys of each shard
 * at a time, under its lock, one shard after the other; the epoch keeps the entries alive, so no
 * lock is held in between. The shards are in a heap, with the next key on top.
 *
 * A key that exists during the whole walk is found whenever its shard is read. Keys are returned in
 * order, as a shard is read on after the last key taken from it, and all keys read from the others
 * are after that one.
 *
 * A cursor is MARK and the last key seen, which need not exist any more.
 */
#include "walk_keys.h"

#include "page.h"

enum {
    ENOUGH = 1024,     /* expired keys skipped for a page */
    MOST_AT_ONCE = 16, /* keys read from a shard */
    KEYS_FOR_ONE = 32  /* keys of a page per further key read at once */
};

/* Precedes a cursor's key, so that a cursor after the empty key is not empty. */
#define MARK '>'

/* The next keys of a shard. */
struct run {
    struct shard *shard;
    uint8_t at, n;
    bool is_last; /* the shard has no more than these */
    struct entry *entries[MOST_AT_ONCE];
};

/* A page in progress. */
struct walk {
    struct kv_store *store;
    struct kv_scan *scan;
    size_t n_seen;
    size_t at_once; /* keys read from a shard at once */
    struct kv_slice last;
    size_t n_heap;
    struct run *heap[N_SHARDS]; /* of the shards that have keys left */
    struct run runs[N_SHARDS];
};

/* ---- cursors ---- */

/* Sets the start of the page. Returns: false if the cursor is malformed. */
static bool read_cursor(const struct kv_scan *scan, struct tree_position *ret)
{
    struct kv_slice cursor = scan->cursor;
    if (cursor.len != 0 && cursor.bytes[0] != MARK)
        return false;
    bool is_behind = cursor.len != 0;
    struct kv_slice key =
        is_behind ? (struct kv_slice){cursor.bytes + 1, cursor.len - 1} : scan->start;
    *ret = (struct tree_position){key, is_behind};
    if (kv_slice_compare(key, scan->prefix) < 0)
        *ret = (struct tree_position){.key = scan->prefix};
    return true;
}

static bool write_cursor(const struct walk *walk)
{
    static const char mark[] = {MARK};
    return page_set_next(walk->scan, (struct kv_slice){mark, 1}, walk->last);
}

/* ---- a shard ---- */

static struct kv_slice next_key(const struct run *run)
{
    return entry_key(run->entries[run->at]);
}

/* Reads the shard's next keys. Returns: false if there are none. */
static bool read_on(const struct walk *walk, struct run *run, const struct tree_position *from)
{
    struct shard *shard = run->shard;
    pthread_mutex_lock(&shard->lock);
    run->n =
        (uint8_t)index_read(&shard->index, from, walk->scan->prefix, run->entries, walk->at_once);
    pthread_mutex_unlock(&shard->lock);
    run->at = 0;
    run->is_last = run->n < walk->at_once;
    return run->n > 0;
}

/* Skips the run's next key. Returns: false if it was the last one. */
static bool pass(const struct walk *walk, struct run *run)
{
    struct tree_position behind = {.key = next_key(run), .is_behind = true};
    run->at++;
    return run->at < run->n || (!run->is_last && read_on(walk, run, &behind));
}

/* ---- the heap ---- */

static bool is_before(const struct run *one, const struct run *other)
{
    return kv_slice_compare(next_key(one), next_key(other)) < 0;
}

/* Moves the run at `i` down to its position; the runs below are in order. */
static void settle(struct walk *walk, size_t i)
{
    struct run **heap = walk->heap;
    struct run *run = heap[i];
    for (size_t child; (child = 2 * i + 1) < walk->n_heap; i = child) {
        if (child + 1 < walk->n_heap && is_before(heap[child + 1], heap[child]))
            child++;
        if (!is_before(heap[child], run))
            break;
        heap[i] = heap[child];
    }
    heap[i] = run;
}

static void begin(struct walk *walk, const struct tree_position *from)
{
    for (uint32_t i = 0; i < N_SHARDS; i++) {
        struct run *run = &walk->runs[i];
        run->shard = &walk->store->shards[i];
        if (read_on(walk, run, from))
            walk->heap[walk->n_heap++] = run;
    }
    for (size_t i = walk->n_heap / 2; i-- > 0;)
        settle(walk, i);
}

/* Takes the first of all remaining keys. */
static void take(struct walk *walk)
{
    struct run *run = walk->heap[0];
    walk->n_seen++;
    walk->last = next_key(run);
    page_add(walk->store, walk->scan, run->entries[run->at]);
    if (!pass(walk, run))
        walk->heap[0] = walk->heap[--walk->n_heap];
    if (walk->n_heap > 0)
        settle(walk, 0);
}

enum kv_status walk_keys(struct kv_store *store, struct kv_scan *scan)
{
    struct tree_position from;
    struct walk walk;
    if (!read_cursor(scan, &from))
        return KV_CONDITION;
    size_t at_once = 1 + scan->capacity / KEYS_FOR_ONE;
    walk.store = store;
    walk.scan = scan;
    walk.n_seen = walk.n_heap = 0;
    walk.at_once = at_once < MOST_AT_ONCE ? at_once : MOST_AT_ONCE;
    begin(&walk, &from);
    while (walk.n_heap > 0 && scan->n < scan->capacity &&
           walk.n_seen < (size_t)ENOUGH + scan->capacity)
        take(&walk);
    return walk.n_heap == 0 || write_cursor(&walk) ? KV_OK : KV_FULL;
}
