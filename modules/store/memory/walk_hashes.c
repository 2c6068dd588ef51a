/*
 * A walk proceeds in the order of hashes, shard by shard and segment by segment. That order does
 * not change when tables grow or shrink, so a cursor is a position in it, and needs no state here.
 * Within a segment, the entries are sorted by hash and key. A page reads whole segments until it is
 * full, or has examined enough; so its work is bounded even if few keys have the prefix.
 *
 * A cursor is the hash of the last entry seen (8 bytes, big-endian) and its key, or the first hash
 * of the next segment without a key.
 */
#include "walk_hashes.h"

#include <stdlib.h>

#include "page.h"

enum {
    ENOUGH = 1024, /* entries examined for a page, at least */
    HASH_BYTES = 8
};

/* Between hash and key, so that a cursor after the empty key differs from one at the start of the
 * hash. */
#define MARK '>'

struct found {
    uint64_t hash; /* as table_hash() */
    struct entry *entry;
};

/* A page in progress. */
struct walk {
    struct kv_store *store;
    struct kv_scan *scan;
    uint64_t hash;       /* its position: at this hash */
    struct kv_slice key; /* and after this key, if `is_behind` */
    bool is_behind;
    bool is_complete;
    size_t n_seen;
    struct entry **entries; /* of one segment */
    struct found *found;
    size_t capacity; /* of both */
};

/* ---- cursors ---- */

static bool read_cursor(struct walk *walk, struct kv_slice cursor)
{
    if (cursor.len == 0)
        return true;
    if (cursor.len < HASH_BYTES || (cursor.len > HASH_BYTES && cursor.bytes[HASH_BYTES] != MARK))
        return false;
    for (size_t i = 0; i < HASH_BYTES; i++)
        walk->hash = walk->hash << 8 | (unsigned char)cursor.bytes[i];
    walk->is_behind = cursor.len > HASH_BYTES;
    if (walk->is_behind)
        walk->key = (struct kv_slice){cursor.bytes + HASH_BYTES + 1, cursor.len - HASH_BYTES - 1};
    return true;
}

static bool write_cursor(struct walk *walk)
{
    char hash[HASH_BYTES + 1];
    for (size_t i = 0; i < HASH_BYTES; i++)
        hash[i] = (char)(walk->hash >> (56 - 8 * i));
    hash[HASH_BYTES] = MARK;
    struct kv_slice head = {hash, walk->is_behind ? HASH_BYTES + 1 : HASH_BYTES};
    return page_set_next(walk->scan, head, walk->is_behind ? walk->key : (struct kv_slice){0});
}

/* ---- one segment ---- */

static int by_hash_and_key(const void *a, const void *b)
{
    const struct found *one = a;
    const struct found *other = b;
    if (one->hash != other->hash)
        return one->hash < other->hash ? -1 : 1;
    return kv_slice_compare(entry_key(one->entry), entry_key(other->entry));
}

static bool walk_reserve(struct walk *walk, size_t n)
{
    if (n <= walk->capacity)
        return true;
    struct entry **entries = reallocarray(walk->entries, n, sizeof(struct entry *));
    if (entries != NULL)
        walk->entries = entries;
    struct found *found = reallocarray(walk->found, n, sizeof(*found));
    if (found != NULL)
        walk->found = found;
    if (entries == NULL || found == NULL)
        return false;
    walk->capacity = n;
    return true;
}

static bool is_ahead(const struct walk *walk, const struct found *one)
{
    if (one->hash != walk->hash)
        return one->hash > walk->hash;
    return !walk->is_behind || kv_slice_compare(entry_key(one->entry), walk->key) > 0;
}

/* The remaining entries of the current segment, sorted. Returns: their number, or SIZE_MAX if
 * memory runs out; *ret_end as table_read_segment(). */
static size_t read_segment(struct walk *walk, uint64_t *ret_end)
{
    struct kv_store *store = walk->store;
    struct table *table = &store->shards[table_shard(walk->hash)].table;
    size_t n;
    while ((n = table_read_segment(table, walk->hash << SHARD_BITS, walk->entries, walk->capacity,
                                   ret_end)) > walk->capacity)
        if (!walk_reserve(walk, n + n / 4))
            return SIZE_MAX;
    size_t n_ahead = 0;
    for (size_t i = 0; i < n; i++) {
        struct kv_slice key = entry_key(walk->entries[i]);
        struct found one = {table_hash(store->host->hash(store->host, key)), walk->entries[i]};
        if (is_ahead(walk, &one))
            walk->found[n_ahead++] = one;
    }
    if (n_ahead > 1)
        qsort(walk->found, n_ahead, sizeof(*walk->found), by_hash_and_key);
    walk->n_seen += n + 1; /* an empty one is work, too */
    return n_ahead;
}

/* Adds the entries that fit. Returns: whether all of them did. */
static bool take(struct walk *walk, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (walk->scan->n == walk->scan->capacity)
            return false;
        walk->hash = walk->found[i].hash;
        walk->key = entry_key(walk->found[i].entry);
        walk->is_behind = true;
        page_add(walk->store, walk->scan, walk->found[i].entry);
    }
    return true;
}

/* Moves to the start of the next segment: `end` in this shard, or the next shard. */
static void step(struct walk *walk, uint64_t end)
{
    uint64_t shard = table_shard(walk->hash);
    walk->is_behind = false;
    if (end != 0)
        walk->hash = shard << (64 - SHARD_BITS) | end >> SHARD_BITS;
    else if (shard + 1 < N_SHARDS)
        walk->hash = (shard + 1) << (64 - SHARD_BITS);
    else
        walk->is_complete = true;
}

static enum kv_status fill_page(struct walk *walk)
{
    struct kv_scan *scan = walk->scan;
    while (!walk->is_complete && scan->n < scan->capacity &&
           walk->n_seen < (size_t)ENOUGH + scan->capacity) {
        uint64_t end;
        size_t n = read_segment(walk, &end);
        if (n == SIZE_MAX)
            return KV_FULL;
        if (take(walk, n))
            step(walk, end);
    }
    return walk->is_complete || write_cursor(walk) ? KV_OK : KV_FULL;
}

enum kv_status walk_hashes(struct kv_store *store, struct kv_scan *scan)
{
    struct walk walk = {.store = store, .scan = scan};
    if (!read_cursor(&walk, scan->cursor))
        return KV_CONDITION;
    enum kv_status status = fill_page(&walk);
    free(walk.entries);
    free(walk.found);
    return status;
}
