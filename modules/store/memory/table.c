/*
 * Sizes. A segment is created for six entries per group and accepts seven. A segment of SPLIT_AT
 * entries is split if the directory may grow; one with three or fewer entries per group is merged
 * with its sibling, or made smaller. The directory has at most one word per eight entries: if the
 * hash does not distinguish keys, segments grow instead, and the table degrades to a linear search.
 */
#include "table.h"

#include <assert.h>
#include <stdlib.h>

enum {
    SLOTS = 8,       /* of a group */
    FULL = 7,        /* average entries per group at which a segment must grow */
    COMFORTABLE = 6, /* entries per group for which a new segment is created */
    SPARSE = 3,
    SPLIT_AT = 448,
    MERGE_AT = SPLIT_AT / 2,
    MAX_GROUPS = UINT16_MAX, /* must fit beside the pointer in a word of the directory */
    MAX_DEPTH = 40,
    WORDS_FREE = 16, /* of a directory, with any content */
    ENTRIES_PER_WORD = 8
};

#define POINTER_BITS 48
#define POINTER_MASK ((UINT64_C(1) << POINTER_BITS) - 16)

/* In the last slot of a group, beside its entry: an entry whose home is this group or an earlier
 * one is in a later group. */
#define PASSED UINT64_C(1)

struct group {
    _Alignas(64) _Atomic uint64_t slots[SLOTS];
};

struct segment {
    uint32_t n_groups;
    uint32_t n_entries; /* this and the following: under the shard's lock */
    uint32_t n_passed;
    uint32_t depth; /* bits of the hash common to all its entries */
    struct group groups[];
};

struct directory {
    uint32_t depth;           /* it has 2^depth words */
    uint32_t n_deepest;       /* segments of that depth */
    _Atomic uint64_t words[]; /* n_groups (16) | pointer to segment (48) */
};

/* ---- words and slots: tagged pointers ---- */

static uint64_t tag_pointer(const void *pointer, uint16_t tag)
{
    return (uint64_t)(uintptr_t)pointer | (uint64_t)tag << POINTER_BITS;
}

static void *untag(uint64_t tagged)
{
    return (void *)(uintptr_t)(tagged & POINTER_MASK); /* NOLINT(performance-no-int-to-ptr) */
}

static uint16_t tag_of(uint64_t tagged)
{
    return (uint16_t)(tagged >> POINTER_BITS);
}

static bool is_empty(uint64_t slot)
{
    return (slot & POINTER_MASK) == 0;
}

/* Stores a pointer, or 0, in the slot, and keeps its PASSED bit. */
static void slot_store(_Atomic uint64_t *slot, uint64_t tagged)
{
    uint64_t passed = atomic_load_explicit(slot, memory_order_relaxed) & PASSED;
    atomic_store(slot, tagged | passed);
}

static uint32_t home_of(uint16_t tag, uint32_t n_groups)
{
    return (uint32_t)tag * n_groups >> 16;
}

static uint32_t group_behind(uint32_t group, uint32_t n_groups)
{
    return group + 1 == n_groups ? 0 : group + 1;
}

/* ---- the directory ---- */

static size_t word_index(uint64_t hash, uint32_t depth)
{
    return depth == 0 ? 0 : (size_t)(hash >> (64 - depth));
}

static _Atomic uint64_t *word_of(struct table *table, uint64_t hash)
{
    struct directory *directory = atomic_load(&table->directory);
    return &directory->words[word_index(hash, directory->depth)];
}

static struct segment *segment_of(struct table *table, uint64_t hash)
{
    return untag(atomic_load(word_of(table, hash)));
}

static struct directory *directory_create(uint32_t depth)
{
    struct directory *directory = malloc(sizeof(*directory) + (sizeof(uint64_t) << depth));
    if (directory != NULL) {
        directory->depth = depth;
        directory->n_deepest = 0;
    }
    return directory;
}

/* Redirects all words of the directory for the segment's hashes. `hash` is one of them. */
static void directory_turn(struct directory *directory, uint64_t hash, struct segment *segment)
{
    size_t span = (size_t)1 << (directory->depth - segment->depth);
    size_t first = word_index(hash, directory->depth) & ~(span - 1);
    for (size_t i = 0; i < span; i++)
        atomic_store(&directory->words[first + i],
                     tag_pointer(segment, (uint16_t)segment->n_groups));
}

static bool directory_double(struct table *table, const struct gardener *gardener)
{
    struct directory *old = atomic_load(&table->directory);
    struct directory *fresh = directory_create(old->depth + 1);
    if (fresh == NULL)
        return false;
    for (size_t i = 0; i < (size_t)1 << fresh->depth; i++)
        atomic_init(&fresh->words[i], atomic_load(&old->words[i / 2]));
    atomic_store(&table->directory, fresh);
    epoch_retire_block(gardener->epochs, gardener->participant, old);
    return true;
}

static uint32_t count_deepest(struct directory *directory)
{
    uint32_t n = 0;
    for (size_t i = 0; i < (size_t)1 << directory->depth; i++) {
        struct segment *segment = untag(atomic_load(&directory->words[i]));
        n += segment->depth == directory->depth;
    }
    return n;
}

/* Halves the directory, as no segment needs its last bit any more. If memory runs out, it stays
 * unchanged. */
static void directory_halve(struct table *table, const struct gardener *gardener)
{
    struct directory *old = atomic_load(&table->directory);
    struct directory *fresh = directory_create(old->depth - 1);
    if (fresh == NULL)
        return;
    for (size_t i = 0; i < (size_t)1 << fresh->depth; i++)
        atomic_init(&fresh->words[i], atomic_load(&old->words[2 * i]));
    fresh->n_deepest = count_deepest(fresh);
    atomic_store(&table->directory, fresh);
    epoch_retire_block(gardener->epochs, gardener->participant, old);
}

/* ---- segments ---- */

static uint32_t groups_for(size_t n_entries)
{
    size_t n = (n_entries + COMFORTABLE - 1) / COMFORTABLE;
    return n == 0 ? 1 : n > MAX_GROUPS ? MAX_GROUPS : (uint32_t)n;
}

static struct segment *segment_create(uint32_t n_groups, uint32_t depth)
{
    size_t size = sizeof(struct segment) + n_groups * sizeof(struct group);
    struct segment *segment = aligned_alloc(_Alignof(struct segment), size);
    if (segment == NULL)
        return NULL;
    memset(segment, 0, size);
    segment->n_groups = n_groups;
    segment->depth = depth;
    return segment;
}

static _Atomic uint64_t *free_slot(struct group *group)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (is_empty(atomic_load_explicit(&group->slots[i], memory_order_relaxed)))
            return &group->slots[i];
    return NULL;
}

static void pass_by(struct segment *segment, struct group *group)
{
    uint64_t last = atomic_load_explicit(&group->slots[SLOTS - 1], memory_order_relaxed);
    if ((last & PASSED) != 0)
        return;
    atomic_store(&group->slots[SLOTS - 1], last | PASSED);
    segment->n_passed++;
}

/* Counts one more entry. Returns: its slot. The segment must have a free slot. */
static _Atomic uint64_t *segment_add(struct segment *segment, uint16_t tag)
{
    uint32_t at = home_of(tag, segment->n_groups);
    _Atomic uint64_t *slot;
    while ((slot = free_slot(&segment->groups[at])) == NULL) {
        pass_by(segment, &segment->groups[at]);
        at = group_behind(at, segment->n_groups);
    }
    segment->n_entries++;
    return slot;
}

/* For a segment that is not yet visible to others. */
static void segment_fill(struct segment *segment, uint64_t tagged)
{
    _Atomic uint64_t *slot = segment_add(segment, tag_of(tagged));
    atomic_store_explicit(slot, tagged & ~PASSED, memory_order_relaxed);
}

static bool segment_has_room(const struct segment *segment)
{
    if (segment->n_entries + 1 > segment->n_groups * FULL)
        return false;
    /* Deleted keys leave PASSED bits behind; rebuilding the segment clears them. */
    return segment->n_passed <= segment->n_groups / 2 ||
           (segment->n_entries + 1 > segment->n_groups * COMFORTABLE &&
            segment->n_passed <= segment->n_groups - segment->n_groups / 4);
}

#define SEGMENT_EACH(segment, tagged)                                                              \
    for (uint32_t group_ = 0; group_ < (segment)->n_groups; group_++)                              \
        for (uint64_t slot_ = 0, tagged; slot_ < SLOTS; slot_++)                                   \
            if (!is_empty(tagged = atomic_load(&(segment)->groups[group_].slots[slot_])))

static void segment_copy(struct segment *to, struct segment *from)
{
    SEGMENT_EACH(from, tagged)
    segment_fill(to, tagged);
}

/* ---- searching ---- */

static bool is_key(const struct entry *entry, struct kv_slice key)
{
    return kv_slice_equals(entry_key(entry), key);
}

/* The slot of the group that has the key. */
static _Atomic uint64_t *find_in_group(struct group *group, const struct probe *probe,
                                       struct entry **ret_entry, bool *ret_passed)
{
    uint64_t slot = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        slot = atomic_load(&group->slots[i]);
        if (tag_of(slot) == probe->tag && !is_empty(slot) && is_key(untag(slot), probe->key)) {
            *ret_entry = untag(slot);
            return &group->slots[i];
        }
    }
    *ret_passed = (slot & PASSED) != 0;
    return NULL;
}

static _Atomic uint64_t *find_in_segment(struct segment *segment, uint32_t n_groups,
                                         const struct probe *probe, struct entry **ret_entry)
{
    uint32_t at = home_of(probe->tag, n_groups);
    bool passed = true;
    for (uint32_t i = 0; i < n_groups && passed; i++) {
        _Atomic uint64_t *slot = find_in_group(&segment->groups[at], probe, ret_entry, &passed);
        if (slot != NULL)
            return slot;
        at = group_behind(at, n_groups);
    }
    return NULL;
}

struct entry *table_find(struct table *table, const struct probe *probe)
{
    uint64_t word = atomic_load(word_of(table, probe->hash));
    struct entry *entry = NULL;
    find_in_segment(untag(word), tag_of(word), probe, &entry);
    return entry;
}

/* ---- searching by the hash alone ---- */

static uint64_t hash_of(const struct kv_store_host *host, const struct entry *entry)
{
    return table_hash(host->hash(host, entry_key(entry))) << SHARD_BITS;
}

/* Iterates over the groups in which an entry with the hash may be. */
struct search {
    struct segment *segment;
    uint16_t tag;
    uint32_t group, n_groups; /* its position, and the number of groups left */
    size_t slot;
};

static struct search search_begin(struct table *table, uint64_t hash)
{
    struct segment *segment = segment_of(table, hash);
    uint16_t tag = table_tag(hash);
    return (struct search){segment, tag, home_of(tag, segment->n_groups), segment->n_groups, 0};
}

/* The next entry that has the tag. Returns: NULL at the end. */
static struct entry *search_next(struct search *search)
{
    uint64_t slot = PASSED;
    for (; search->n_groups > 0 && (slot & PASSED) != 0; search->n_groups--) {
        struct group *group = &search->segment->groups[search->group];
        while (search->slot < SLOTS) {
            slot = atomic_load_explicit(&group->slots[search->slot++], memory_order_relaxed);
            if (tag_of(slot) == search->tag && !is_empty(slot))
                return untag(slot);
        }
        search->slot = 0;
        search->group = group_behind(search->group, search->segment->n_groups);
    }
    return NULL;
}

bool table_has_hash(struct table *table, const struct kv_store_host *host,
                    const struct probe *probe)
{
    struct search search = search_begin(table, probe->hash);
    struct entry *entry;
    while ((entry = search_next(&search)) != NULL)
        if (hash_of(host, entry) == probe->hash)
            return true;
    return false;
}

/* Computes hashes only if several entries have the tag. */
struct entry *table_resolve(struct table *table, const struct kv_store_host *host, uint64_t hash)
{
    struct search search = search_begin(table, hash);
    struct entry *found = NULL;
    struct entry *entry;
    while ((entry = search_next(&search)) != NULL) {
        if (entry_is_twin(entry))
            continue;
        if (found != NULL && hash_of(host, found) == hash)
            return found;
        found = entry;
    }
    assert(found != NULL);
    return found;
}

/* ---- prefetching ---- */

static struct group *home_group(struct table *table, const struct probe *probe)
{
    uint64_t word = atomic_load(word_of(table, probe->hash));
    struct segment *segment = untag(word);
    return &segment->groups[home_of(probe->tag, tag_of(word))];
}

void table_prefetch_group(struct table *table, const struct probe *probe)
{
    __builtin_prefetch(home_group(table, probe));
}

bool table_prefetch_entry(struct table *table, const struct probe *probe)
{
    struct group *group = home_group(table, probe);
    for (size_t i = 0; i < SLOTS; i++) {
        uint64_t slot = atomic_load_explicit(&group->slots[i], memory_order_relaxed);
        if (tag_of(slot) != probe->tag || is_empty(slot))
            continue;
        char *entry = untag(slot);
        __builtin_prefetch(entry);
        __builtin_prefetch(entry + 64);
        return true;
    }
    return false;
}

size_t table_read_segment(struct table *table, uint64_t hash, struct entry **entries, size_t max,
                          uint64_t *ret_end)
{
    struct segment *segment = segment_of(table, hash);
    size_t n = 0;
    SEGMENT_EACH(segment, tagged)
    {
        if (n < max)
            entries[n] = untag(tagged);
        n++;
    }
    uint32_t depth = segment->depth;
    *ret_end = depth == 0 ? 0 : ((hash >> (64 - depth)) + 1) << (64 - depth);
    return n;
}

struct entry *table_locate(struct table *table, const struct probe *probe, struct place *ret_place)
{
    struct segment *segment = segment_of(table, probe->hash);
    ret_place->segment = segment;
    ret_place->entry = NULL;
    ret_place->slot = find_in_segment(segment, segment->n_groups, probe, &ret_place->entry);
    return ret_place->entry;
}

/* ---- growing and shrinking ---- */

static void retire_segment(const struct gardener *gardener, struct segment *segment)
{
    epoch_retire_block(gardener->epochs, gardener->participant, segment);
}

/* Rebuilds the segment for `n_entries`. Returns: false if memory runs out. */
static bool resize_segment(struct table *table, const struct gardener *gardener, uint64_t hash,
                           struct segment *old, size_t n_entries)
{
    struct segment *fresh = segment_create(groups_for(n_entries), old->depth);
    if (fresh == NULL)
        return false;
    segment_copy(fresh, old);
    directory_turn(atomic_load(&table->directory), hash, fresh);
    retire_segment(gardener, old);
    return true;
}

/* Determines the half of the segment that each entry belongs to. Hashes are not stored, so the
 * entries must be visited; they are prefetched. Returns: the number of entries in the upper
 * half. */
static size_t sort_halves(const struct gardener *gardener, struct segment *segment, bool *is_upper)
{
    SEGMENT_EACH(segment, tagged)
    __builtin_prefetch(untag(tagged));
    size_t i = 0;
    size_t n_upper = 0;
    SEGMENT_EACH(segment, tagged)
    {
        is_upper[i] = (hash_of(gardener->host, untag(tagged)) >> (63 - segment->depth) & 1) != 0;
        n_upper += is_upper[i++];
    }
    return n_upper;
}

static void copy_halves(struct segment *lower, struct segment *upper, struct segment *from,
                        const bool *is_upper)
{
    size_t i = 0;
    SEGMENT_EACH(from, tagged)
    segment_fill(is_upper[i++] ? upper : lower, tagged);
}

static void turn_to_halves(struct directory *directory, uint64_t hash, struct segment *lower,
                           struct segment *upper)
{
    uint64_t bit = UINT64_C(1) << (64 - lower->depth);
    directory_turn(directory, hash & ~bit, lower);
    directory_turn(directory, hash | bit, upper);
    if (lower->depth == directory->depth)
        directory->n_deepest += 2;
}

/* Splits the segment; the directory must have the bit that distinguishes the halves. Returns: false
 * if memory runs out. */
static bool split_segment(struct table *table, const struct gardener *gardener, uint64_t hash,
                          struct segment *old)
{
    bool *is_upper = malloc(old->n_entries);
    if (is_upper == NULL)
        return false;
    size_t n_upper = sort_halves(gardener, old, is_upper);
    struct segment *lower =
        segment_create(groups_for(old->n_entries - n_upper + 1), old->depth + 1);
    struct segment *upper = segment_create(groups_for(n_upper + 1), old->depth + 1);
    bool is_made = lower != NULL && upper != NULL;
    if (is_made) {
        copy_halves(lower, upper, old, is_upper);
        turn_to_halves(atomic_load(&table->directory), hash, lower, upper);
        retire_segment(gardener, old);
    } else {
        free(lower);
        free(upper);
    }
    free(is_upper);
    return is_made;
}

static bool may_split(struct table *table, const struct segment *segment)
{
    const struct directory *directory = atomic_load(&table->directory);
    if (segment->n_entries < SPLIT_AT)
        return false;
    if (segment->depth < directory->depth)
        return true;
    size_t most = WORDS_FREE + table->n_entries / ENTRIES_PER_WORD;
    return segment->depth < MAX_DEPTH && (size_t)2 << directory->depth <= most;
}

/* Makes room for one more entry in the segment of that hash. Returns: false if memory runs out. */
static bool grow(struct table *table, const struct gardener *gardener, uint64_t hash,
                 struct segment *segment)
{
    if (may_split(table, segment)) {
        const struct directory *directory = atomic_load(&table->directory);
        if (segment->depth < directory->depth || directory_double(table, gardener))
            return split_segment(table, gardener, hash, segment);
    }
    return segment->n_groups < MAX_GROUPS &&
           resize_segment(table, gardener, hash, segment, segment->n_entries + 1);
}

/* The segment that differs from this one only in the last bit of its depth, if it has the same
 * depth. */
static struct segment *sibling_of(struct table *table, uint64_t hash, const struct segment *segment)
{
    if (segment->depth == 0)
        return NULL;
    struct segment *sibling = segment_of(table, hash ^ UINT64_C(1) << (64 - segment->depth));
    return sibling->depth == segment->depth ? sibling : NULL;
}

static void merge_segments(struct table *table, const struct gardener *gardener, uint64_t hash,
                           struct segment *one, struct segment *other)
{
    struct segment *fresh =
        segment_create(groups_for((size_t)one->n_entries + other->n_entries), one->depth - 1);
    if (fresh == NULL)
        return;
    segment_copy(fresh, one);
    segment_copy(fresh, other);
    struct directory *directory = atomic_load(&table->directory);
    directory_turn(directory, hash, fresh);
    if (one->depth == directory->depth)
        directory->n_deepest -= 2;
    if (directory->n_deepest == 0) /* also if it could not be halved before */
        directory_halve(table, gardener);
    retire_segment(gardener, one);
    retire_segment(gardener, other);
}

/* Frees memory if the segment has become sparse. If memory runs out, it stays unchanged. */
static void shrink(struct table *table, const struct gardener *gardener, uint64_t hash,
                   struct segment *segment)
{
    struct segment *sibling = sibling_of(table, hash, segment);
    if (sibling != NULL && segment->n_entries + sibling->n_entries <= MERGE_AT)
        merge_segments(table, gardener, hash, segment, sibling);
    else if (segment->n_groups > 1)
        resize_segment(table, gardener, hash, segment, segment->n_entries);
}

/* ---- changing ---- */

void table_replace(struct place *place, struct entry *entry)
{
    uint16_t tag = tag_of(atomic_load_explicit(place->slot, memory_order_relaxed));
    slot_store(place->slot, tag_pointer(entry, tag));
}

void table_remove(struct table *table, const struct gardener *gardener, const struct probe *probe,
                  struct place *place)
{
    struct segment *segment = place->segment;
    slot_store(place->slot, 0);
    segment->n_entries--;
    table->n_entries--;
    if (segment->n_entries < segment->n_groups * SPARSE &&
        (segment->n_groups > 1 || segment->depth > 0))
        shrink(table, gardener, probe->hash, segment);
}

bool table_insert(struct table *table, const struct gardener *gardener, const struct probe *probe,
                  struct entry *entry)
{
    struct segment *segment = segment_of(table, probe->hash);
    if (!segment_has_room(segment) && grow(table, gardener, probe->hash, segment))
        segment = segment_of(table, probe->hash);
    if (segment->n_entries >= segment->n_groups * SLOTS)
        return false; /* no memory to grow, and no free slot left */
    slot_store(segment_add(segment, probe->tag), tag_pointer(entry, probe->tag));
    table->n_entries++;
    return true;
}

/* ---- life ---- */

int table_init(struct table *table)
{
    struct directory *directory = directory_create(0);
    struct segment *segment = segment_create(1, 0);
    if (directory == NULL || segment == NULL) {
        free(directory);
        free(segment);
        return -1;
    }
    directory->n_deepest = 1;
    atomic_init(&directory->words[0], tag_pointer(segment, 1));
    atomic_init(&table->directory, directory);
    table->n_entries = 0;
    return 0;
}

void table_fini(struct table *table)
{
    struct directory *directory = atomic_load(&table->directory);
    if (directory == NULL)
        return;
    for (size_t i = 0, span; i < (size_t)1 << directory->depth; i += span) {
        struct segment *segment = untag(atomic_load(&directory->words[i]));
        span = (size_t)1 << (directory->depth - segment->depth);
        SEGMENT_EACH(segment, tagged)
        entry_unref(untag(tagged));
        free(segment);
    }
    free(directory);
    atomic_store(&table->directory, NULL);
}
