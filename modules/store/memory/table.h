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
 * entries. In there an entry lies in its home group, which its tag names, or, where that was full,
 * in one of the next. A full group that was passed by says so with a bit (PASSED), so most searches
 * for a missing key end where they began.
 *
 * Why readers need no more than to load: within a segment, a slot's content changes in one store,
 * and an entry never moves. A segment is never rearranged: to grow, shrink, split or merge, new
 * segments are made of it, then the directory's words are turned to them, and the old one is
 * retired (epoch.h). A reader that still holds the old one sees the state of that moment, which
 * lies within its own call. So growing costs a writer some hundred pointers at a time (the
 * directory, one word for some hundred entries, is copied when it doubles), and segments grow by a
 * sixth: the memory they take is as even.
 *
 * Writers hold the shard's lock. Stores that publish and loads that search are sequentially
 * consistent, which is what a change and a subscription that race need (kvserver/store.h, "Memory
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

/* What is looked for. `hash` is a table_hash() without the bits that chose the shard. */
struct probe {
    uint64_t hash;
    uint16_t tag;
    struct kv_slice key;
};

/* Where a key's entry lies, until the table is changed. */
struct place {
    struct segment *segment;
    _Atomic uint64_t *slot;
    struct entry *entry;
};

/* Who changes a table: whose epochs its garbage goes to, and what is asked for hashes. */
struct gardener {
    const struct kv_store_host *host;
    struct epochs *epochs;
    uint32_t participant;
};

enum {
    SHARD_BITS = 6,
    N_SHARDS = 1 << SHARD_BITS,
    /* The most that one change of a table retires, the entry apart. */
    TABLE_RETIRES = 8
};

/* The host's hash with all its bits stirred into the upper ones (Fibonacci hashing; Knuth, TAOCP
 * 3, 6.4): tables use the top bits, and hosts may hash as they like. */
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

/* Frees everything, the table's references of its entries included. Nobody else is there. */
void table_fini(struct table *table);

/* ---- readers: within an epoch, no lock ---- */

/* The key's entry, borrowed for the epoch. */
struct entry *table_find(struct table *table, const struct probe *probe);

/* Fetches the probe's home group into the cache. */
void table_prefetch_group(struct table *table, const struct probe *probe);
/* Fetches the entry that the probe will most likely compare, its home group being there. Returns:
 * whether there is one; else the key is most likely missing. */
bool table_prefetch_entry(struct table *table, const struct probe *probe);

/* One segment's entries, for a scan: the one that the hash falls into. Writes at most `max` of
 * them. Returns: how many it has; *ret_end is the first hash behind the segment, 0 for the end. */
size_t table_read_segment(struct table *table, uint64_t hash, struct entry **entries, size_t max,
                          uint64_t *ret_end);

/* ---- writers: under the shard's lock ---- */

/* Returns: the key's entry, which is also at the place; NULL if the key is missing. */
struct entry *table_locate(struct table *table, const struct probe *probe, struct place *ret_place);

/* Whether there is a key with the probe's hash. */
bool table_has_hash(struct table *table, const struct kv_store_host *host,
                    const struct probe *probe);

/* The entry of the key that came first of all that have this hash, which is a probe's. It is there.
 */
struct entry *table_resolve(struct table *table, const struct kv_store_host *host, uint64_t hash);

/* Another entry of the same key takes its place. The old one is the caller's to retire. */
void table_replace(struct place *place, struct entry *entry);

/* Takes the entry out; it is the caller's to retire. */
void table_remove(struct table *table, const struct gardener *gardener, const struct probe *probe,
                  struct place *place);

/* Puts in a key that is not there. Returns: false if memory runs out, with nothing done. */
bool table_insert(struct table *table, const struct gardener *gardener, const struct probe *probe,
                  struct entry *entry);

#endif
