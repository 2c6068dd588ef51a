/*
 * An entry: one key with its value, in one allocation. It is immutable once it is in a table, but
 * for its deadline, so a reader that holds a reference needs no lock, and a value is sent to a
 * client from where it lies.
 *
 *     untimed   | n_refs key_len | revision | value_len, - | key … value …
 *     timed     | n_refs key_len | revision | value_len, p | deadline | links | key … value …
 *
 * An entry without a deadline has no room for one: 24 bytes ahead of the key against 40. Both sizes
 * are chosen for an allocator that adds 8 bytes and rounds up to 16 (glibc's).
 *
 * `links` chains timed entries into the lists of the timing wheel. A list is a chain of words:
 * each holds where the next word is, and where the word before it is, so that an entry can be
 * taken out knowing nothing but itself (the hlist of Linux). Words lie at multiples of 16 below
 * 2^48, which leaves 44 bits for an address; 44 for the next one and 20 of the one before share the
 * word, and the other 24 stand in `prev_high`.
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
#define ENTRY_TWIN      (UINT64_C(1) << 62) /* its key came when another of the same hash was there */
#define ENTRY_MARKS     (ENTRY_TIMED | ENTRY_TWIN)
#define ENTRY_MAX_KEY   UINT32_MAX
#define ENTRY_MAX_VALUE ((UINT64_C(1) << 40) - 1)

/* One reference, for the caller; no revision yet. It has room for a deadline where it is given one,
 * or where the room does not matter. Returns: NULL if memory runs out. */
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

/* Of an entry that is timed. */
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

/* The word of a timed entry's deadline. Everything that decides whether the entry is its key's
 * state at some moment is this one word, so readers and a writer cannot come to different answers:
 *
 *   0 … 2^62-2     it expires then (milliseconds of the host's clock)
 *   ENTRY_NEVER    it does not
 *   negative       it has expired: ~deadline. Who finds a deadline in the past first seals it so;
 * from then on everyone finds the same, and no writer can keep the entry by an earlier look at the
 * clock ENTRY_REPLACED | address    it is being replaced, and its key's state is the entry there
 * already, be this one still in the table or not
 */
#define ENTRY_NEVER    ((INT64_C(1) << 62) - 1)
#define ENTRY_REPLACED (INT64_C(1) << 62)

/* KV_NEVER, or when the entry expires or has expired. For entries of the caller's own, and for
 * writers. */
int64_t entry_deadline(struct entry *entry);

/* What a reader sees who has found the entry in the table: the entry, or the one that has replaced
 * it, with its deadline, borrowed for the epoch; NULL where it has expired. Threads: any. */
struct entry *entry_look(struct entry *entry, const struct kv_host *host, int64_t *ret_deadline_ms);

/* Gives a timed entry another deadline. The caller looks after the wheel. Returns: false if it has
 * expired, with nothing done. Under the shard's lock. */
bool entry_move_deadline(struct entry *entry, int64_t deadline_ms);

/* From now on `fresh` is the key's state, and goes into the table at once. An entry that is not
 * timed needs no more than that. Returns: false if the entry has expired, with nothing done. Under
 * the shard's lock. */
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

/* What it counts towards `max_bytes`. */
static inline uint64_t entry_size(const struct entry *entry)
{
    return entry->key_len + entry_value_len(entry);
}

/* The entry as others see it, without a reference of its own. */
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
