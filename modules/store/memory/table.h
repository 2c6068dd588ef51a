/*
 * The table of one shard: an extendible hash table (Fagin, Nievergelt, Pippenger and Strong,
 * "Extendible Hashing", 1979) whose readers take no lock and never wait or retry.
 *
 *     directory            segment                     group: one cache line
 *     [00] ----------->    group | group | …           8 slots: tag (16) | pointer to entry (48)
 *     [01] ----------->    group | group | …
 *     [10] --+-------->    group | group | …
 *     [11] --+
 *
 * The hash's first bits choose the word of the directory, and so a segment of at most some hundred
 * entries. There, an entry is in its home group, which its tag determines, or, if that was full, in
 * one of the next groups. A full group that an insertion has skipped is marked with a bit (PASSED),
 * so most searches for a missing key end in the first group.
 *
 * Readers only need loads: within a segment, a slot's content changes in one store, and an entry
 * never moves. A segment is never rearranged: to grow, shrink, split or merge, new segments are
 * built from it, then the directory's words are redirected to them, and the old one is retired
 * (epoch.h). A reader that still holds the old segment sees the state of that moment, which is
 * within its own call. So growing costs a writer some hundred pointers at a time (the directory,
 * one word per some hundred entries, is copied when it doubles). Segments grow by a sixth, so
 * memory grows in small steps, too.
 *
 * Writers hold the shard's lock. Stores that publish and loads that search are sequentially
 * consistent, as required for a change that races with a subscription (kvserver/store.h, "Memory
 * ordering").
 */
#ifndef KV_MEMORY_TABLE_H
#define KV_MEMORY_TABLE_H

#include "entry.h"
#include "epoch.h"

struct directory;
struct segment;

struct table {
    _Atomic(struct directory *) directory;
    size_t n_entries; /* under the shard's lock */
};

/* The search key. `hash` is a table_hash() without the bits that choose the shard. */
struct probe {
    uint64_t hash;
    uint16_t tag;
    struct kv_slice key;
};

/* The place of a key's entry, until the table is changed. */
struct place {
    struct segment *segment;
    _Atomic uint64_t *slot;
    struct entry *entry;
};

/* The context of a change of a table: the participant that retires its garbage, and the host that
 * computes hashes. */
struct gardener {
    const struct kv_store_host *host;
    struct epochs *epochs;
    uint32_t participant;
};

enum {
    SHARD_BITS = 6,
    N_SHARDS = 1 << SHARD_BITS,
    /* The most items that one change of a table retires, besides the entry. */
    TABLE_RETIRES = 8
};

/* The host's hash with all its bits mixed into the upper ones (Fibonacci hashing; Knuth, TAOCP 3,
 * 6.4): tables use the top bits, and hosts may use any hash. */
static inline uint64_t table_hash(uint64_t hash)
{
    return (hash ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
}

static inline uint32_t table_shard(uint64_t table_hash)
{
    return (uint32_t)(table_hash >> (64 - SHARD_BITS));
}

/* `hash` is that of a probe. */
static inline uint16_t table_tag(uint64_t hash)
{
    return (uint16_t)(hash >> (SHARD_BITS + 8));
}

static inline struct probe table_probe(uint64_t table_hash, struct kv_slice key)
{
    uint64_t hash = table_hash << SHARD_BITS;
    return (struct probe){.hash = hash, .tag = table_tag(hash), .key = key};
}

/* Returns: -1 if memory runs out. */
int table_init(struct table *table);

/* Frees everything, including the table's references to its entries. No other thread may use the
 * table. */
void table_fini(struct table *table);

/* ---- readers: within an epoch, no lock ---- */

/* The key's entry, borrowed for the epoch. */
struct entry *table_find(struct table *table, const struct probe *probe);

/* Prefetches the probe's home group into the cache. */
void table_prefetch_group(struct table *table, const struct probe *probe);
/* Prefetches the entry that the probe will probably compare; its home group must be in the cache.
 * Returns: whether there is one; otherwise the key is probably missing. */
bool table_prefetch_entry(struct table *table, const struct probe *probe);

/* For a scan: the entries of the segment that the hash falls into. Writes at most `max` of them.
 * Returns: the number of its entries; *ret_end: the first hash after the segment, 0 at the end. */
size_t table_read_segment(struct table *table, uint64_t hash, struct entry **entries, size_t max,
                          uint64_t *ret_end);

/* ---- writers: under the shard's lock ---- */

/* Returns: the key's entry, also stored in the place; NULL if the key is missing. */
struct entry *table_locate(struct table *table, const struct probe *probe, struct place *ret_place);

/* Whether there is a key with the probe's hash. */
bool table_has_hash(struct table *table, const struct kv_store_host *host,
                    const struct probe *probe);

/* The entry of the first key inserted with this hash, which is that of a probe. It must exist. */
struct entry *table_resolve(struct table *table, const struct kv_store_host *host, uint64_t hash);

/* Replaces the entry by another one of the same key. The caller must retire the old one. */
void table_replace(struct place *place, struct entry *entry);

/* Removes the entry; the caller must retire it. */
void table_remove(struct table *table, const struct gardener *gardener, const struct probe *probe,
                  struct place *place);

/* Inserts a new key. Returns: false if memory runs out; then nothing is changed. */
bool table_insert(struct table *table, const struct gardener *gardener, const struct probe *probe,
                  struct entry *entry);

#endif
