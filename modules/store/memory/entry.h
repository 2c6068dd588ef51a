/*
 * An entry: one key with its value, in one allocation. It is immutable once it is in a table,
 * except for its deadline, so a reader that holds a reference needs no lock, and a value is sent to
 * a client in place.
 *
 *     untimed   | n_refs key_len | revision | value_len, - | key … value …
 *     timed     | n_refs key_len | revision | value_len, p | deadline | links | key … value …
 *
 * An entry without a deadline has no room for one: 24 bytes ahead of the key against 40. Both sizes
 * are chosen for an allocator that adds 8 bytes and rounds up to 16 (glibc's).
 *
 * `links` chains timed entries into the lists of the timing wheel. A list is a chain of words: each
 * has the addresses of the next and of the previous word, so that an entry can be removed without
 * knowing its list (like Linux's hlist). Words are at multiples of 16 below 2^48, so an address
 * takes 44 bits: 44 bits of the next address and 20 of the previous one share the word, and the
 * other 24 are in `prev_high`.
 */
#ifndef KV_MEMORY_ENTRY_H
#define KV_MEMORY_ENTRY_H

#include <kvserver/store.h>

#include <stdatomic.h>

struct entry {
    _Atomic uint32_t n_refs;
    uint32_t key_len;
    uint64_t revision; /* with TIMED and TWIN in its top bits; set before it is published */
    uint32_t value_len_low;
    uint8_t value_len_high;
    uint8_t prev_high[3]; /* timed: under the shard's lock */
    char bytes[];         /* untimed: key and value */
};

struct timed {
    struct entry entry;
    _Atomic int64_t deadline; /* see ENTRY_NEVER */
    uint64_t links;           /* under the shard's lock; 0 and prev_high 0: in no list */
    char bytes[];             /* key and value */
};

#define ENTRY_TIMED     (UINT64_C(1) << 63)
#define ENTRY_TWIN      (UINT64_C(1) << 62) /* inserted after another key with the same hash */
#define ENTRY_MARKS     (ENTRY_TIMED | ENTRY_TWIN)
#define ENTRY_MAX_KEY   UINT32_MAX
#define ENTRY_MAX_VALUE ((UINT64_C(1) << 40) - 1)

/* One reference, for the caller; no revision yet. It has room for a deadline if it is given one, or
 * if the room does not matter. Returns: NULL if memory runs out. */
struct entry *entry_create(struct kv_slice key, struct kv_slice value, int64_t deadline_ms);

/* Threads: any; the caller has a reference, or the epoch keeps the table's. */
static inline void entry_ref(struct entry *entry)
{
    atomic_fetch_add_explicit(&entry->n_refs, 1, memory_order_relaxed);
}

/* Threads: any. Accepts NULL. */
void entry_unref(struct entry *entry);

static inline bool entry_is_timed(const struct entry *entry)
{
    return (entry->revision & ENTRY_TIMED) != 0;
}

static inline bool entry_is_twin(const struct entry *entry)
{
    return (entry->revision & ENTRY_TWIN) != 0;
}

/* Before it is published. */
static inline void entry_set_twin(struct entry *entry, bool is_twin)
{
    entry->revision = (entry->revision & ~ENTRY_TWIN) | (is_twin ? ENTRY_TWIN : 0);
}

/* For a timed entry. */
static inline struct timed *entry_timed(struct entry *entry)
{
    return (struct timed *)entry;
}

static inline uint64_t entry_revision(const struct entry *entry)
{
    return entry->revision & ~ENTRY_MARKS;
}

/* Before it is published. */
static inline void entry_set_revision(struct entry *entry, uint64_t revision)
{
    entry->revision = (entry->revision & ENTRY_MARKS) | revision;
}

/* The word of a timed entry's deadline. This one word decides whether the entry is its key's state
 * at a given moment, so readers and a writer cannot come to different answers:
 *
 *   0 … 2^62-2     the entry expires at that time (milliseconds of the host's clock)
 *   ENTRY_NEVER    it does not expire
 *   negative       it has expired: ~deadline. The first thread that finds the deadline in the past
 *                  seals the word so; from then on all threads agree, and no writer can keep the
 *                  entry because it read the clock earlier
 *   ENTRY_REPLACED | address
 *                  it is being replaced: the key's state is already the entry at that address,
 *                  whether this one is still in the table or not
 */
#define ENTRY_NEVER    ((INT64_C(1) << 62) - 1)
#define ENTRY_REPLACED (INT64_C(1) << 62)

/* KV_NEVER, or the time at which the entry expires or has expired. For the caller's own entries,
 * and for writers. */
int64_t entry_deadline(struct entry *entry);

/* The entry that a reader sees after finding this one in the table: this one, or the one that has
 * replaced it, with its deadline, borrowed for the epoch; NULL if it has expired. Threads: any. */
struct entry *entry_look(struct entry *entry, const struct kv_host *host, int64_t *ret_deadline_ms);

/* Gives a timed entry another deadline. The caller updates the wheel. Returns: false if it has
 * expired; then nothing is changed. Under the shard's lock. */
bool entry_move_deadline(struct entry *entry, int64_t deadline_ms);

/* Makes `fresh` the key's state; the caller puts it into the table at once. For an untimed entry,
 * that is enough. Returns: false if the entry has expired; then nothing is changed. Under the
 * shard's lock. */
bool entry_replace(struct entry *entry, struct entry *fresh);

static inline uint64_t entry_value_len(const struct entry *entry)
{
    return (uint64_t)entry->value_len_high << 32 | entry->value_len_low;
}

static inline struct kv_slice entry_key(const struct entry *entry)
{
    const char *bytes = entry_is_timed(entry) ? ((const struct timed *)entry)->bytes : entry->bytes;
    return (struct kv_slice){.bytes = bytes, .len = entry->key_len};
}

static inline struct kv_slice entry_value(const struct entry *entry)
{
    return (struct kv_slice){.bytes = entry_key(entry).bytes + entry->key_len,
                             .len = entry_value_len(entry)};
}

/* Its contribution to `max_bytes`. */
static inline uint64_t entry_size(const struct entry *entry)
{
    return entry->key_len + entry_value_len(entry);
}

/* The entry as an item, without a reference of its own. */
static inline struct kv_item entry_item(struct entry *entry, int64_t deadline_ms)
{
    return (struct kv_item){
        .value = entry_value(entry),
        .revision = entry_revision(entry),
        .deadline_ms = deadline_ms,
        .ref = entry,
    };
}

#endif
