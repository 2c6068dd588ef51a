/*
 * A table with open addressing: a slot has the hash of a prefix and one bit for each loop. An
 * unused slot keeps its hash, so that look-ups continue past it, until another prefix takes the
 * slot. When half of the slots are taken the prefixes move to another table, which is published as
 * a whole. Commits may still be reading a replaced table, so it is never freed, but reused; a
 * commit that finds that another table was published meanwhile looks again.
 *
 * If a commit misses a prefix that is being added, its change was published before; so it is
 * visible to the loop's later reads (the guarantee of stores on memory ordering).
 */
#include "keyspace/prefix_interests.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

enum {
    LEAST_SIZE = 6 /* 2^6 slots */
};

struct slot {
    _Atomic uint64_t hash; /* 0: free */
    _Atomic uint64_t loops;
};

struct kv_prefix_table {
    uint32_t size;                /* 2^size slots */
    size_t n_taken;               /* slots with a hash */
    struct kv_prefix_table *next; /* of those that were replaced */
    struct slot slots[];
};

static size_t slots_of(uint32_t size)
{
    return (size_t)1 << size;
}

static struct kv_prefix_table *create_table(uint32_t size)
{
    struct kv_prefix_table *table =
        kv_calloc(1, sizeof(*table) + slots_of(size) * sizeof(struct slot));
    table->size = size;
    return table;
}

void kv_prefix_interests_init(struct kv_prefix_interests *interests)
{
    *interests = (struct kv_prefix_interests){0};
    pthread_mutex_init(&interests->lock, NULL);
    atomic_store(&interests->table, create_table(LEAST_SIZE));
}

void kv_prefix_interests_fini(struct kv_prefix_interests *interests)
{
    for (struct kv_prefix_table *one = interests->replaced, *next; one != NULL; one = next) {
        next = one->next;
        free(one);
    }
    free(atomic_load(&interests->table));
    pthread_mutex_destroy(&interests->lock);
}

static size_t length_of(struct kv_slice prefix)
{
    return prefix.len < KV_PREFIX_LONGEST ? prefix.len : KV_PREFIX_LONGEST;
}

static uint64_t hash_of_first(struct kv_slice key, size_t length)
{
    uint64_t hash = kv_hash((struct kv_slice){key.bytes, length});
    return hash == 0 ? 1 : hash;
}

uint64_t kv_prefix_hash(struct kv_slice prefix)
{
    return hash_of_first(prefix, length_of(prefix));
}

/* ---- on the thread that commits ---- */

static uint64_t loops_of(const struct kv_prefix_table *table, uint64_t hash)
{
    size_t mask = slots_of(table->size) - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
        uint64_t found = atomic_load(&table->slots[at].hash);
        if (found == hash)
            return atomic_load(&table->slots[at].loops);
        if (found == 0)
            return 0;
    }
}

static uint64_t loops_in(const struct kv_prefix_table *table, uint64_t lengths, struct kv_slice key)
{
    uint64_t loops = 0;
    for (; lengths != 0; lengths &= lengths - 1) {
        size_t length = (size_t)__builtin_ctzll(lengths);
        if (length > key.len)
            break;
        loops |= loops_of(table, hash_of_first(key, length));
    }
    return loops;
}

uint64_t kv_prefix_interests_look_up(const struct kv_prefix_interests *interests, uint64_t lengths,
                                     struct kv_slice key)
{
    uint64_t n_published, loops;
    do {
        n_published = atomic_load(&interests->n_published);
        loops = loops_in(atomic_load(&interests->table), lengths, key);
    } while (atomic_load(&interests->n_published) != n_published);
    return loops;
}

/* ---- on the loops, under the lock ---- */

/* Finds the slot of the hash. Returns: NULL if there is none. */
static struct slot *find(struct kv_prefix_table *table, uint64_t hash)
{
    size_t mask = slots_of(table->size) - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
        uint64_t found = atomic_load(&table->slots[at].hash);
        if (found == hash)
            return &table->slots[at];
        if (found == 0)
            return NULL;
    }
}

/* Takes the first unused slot for a hash that is not in the table. */
static struct slot *take(struct kv_prefix_table *table, uint64_t hash)
{
    size_t mask = slots_of(table->size) - 1, at = hash & mask;
    while (atomic_load(&table->slots[at].loops) != 0)
        at = (at + 1) & mask;
    table->n_taken += atomic_load(&table->slots[at].hash) == 0;
    atomic_store(&table->slots[at].hash, hash);
    return &table->slots[at];
}

static size_t count_wanted(const struct kv_prefix_table *table)
{
    size_t n = 0;
    for (size_t i = 0; i < slots_of(table->size); i++)
        n += atomic_load(&table->slots[i].loops) != 0;
    return n;
}

/* With release order: a commit that sees the cleared table sees everything published before. */
static void clear(struct kv_prefix_table *table)
{
    table->n_taken = 0;
    for (size_t i = 0; i < slots_of(table->size); i++) {
        atomic_store_explicit(&table->slots[i].hash, 0, memory_order_release);
        atomic_store_explicit(&table->slots[i].loops, 0, memory_order_release);
    }
}

static struct kv_prefix_table *blank_table(struct kv_prefix_interests *interests, uint32_t size)
{
    struct kv_prefix_table **at = &interests->replaced;
    while (*at != NULL && (*at)->size != size)
        at = &(*at)->next;
    if (*at == NULL)
        return create_table(size);
    struct kv_prefix_table *table = *at;
    *at = table->next;
    clear(table);
    return table;
}

static void copy(const struct kv_prefix_table *from, struct kv_prefix_table *to)
{
    for (size_t i = 0; i < slots_of(from->size); i++) {
        uint64_t loops = atomic_load(&from->slots[i].loops);
        if (loops != 0)
            atomic_store(&take(to, atomic_load(&from->slots[i].hash))->loops, loops);
    }
}

/* Tables never get smaller; at least three quarters of the new one are free. */
static void replace_table(struct kv_prefix_interests *interests)
{
    struct kv_prefix_table *old = atomic_load(&interests->table);
    bool is_crowded = count_wanted(old) > slots_of(old->size) / 4;
    struct kv_prefix_table *new = blank_table(interests, old->size + is_crowded);
    copy(old, new);
    atomic_store(&interests->table, new);
    atomic_fetch_add(&interests->n_published, 1);
    old->next = interests->replaced;
    interests->replaced = old;
}

static struct slot *slot_for(struct kv_prefix_interests *interests, uint64_t hash)
{
    struct kv_prefix_table *table = atomic_load(&interests->table);
    struct slot *slot = find(table, hash);
    if (slot != NULL)
        return slot;
    if (2 * table->n_taken >= slots_of(table->size)) {
        replace_table(interests);
        table = atomic_load(&interests->table);
    }
    return take(table, hash);
}

static void count_length(struct kv_prefix_interests *interests, size_t length, int change)
{
    uint64_t bit = UINT64_C(1) << length;
    interests->n_of_length[length] += (uint32_t)change;
    if (interests->n_of_length[length] != 0)
        atomic_fetch_or(&interests->lengths, bit);
    else
        atomic_fetch_and(&interests->lengths, ~bit);
}

void kv_prefix_interests_add(struct kv_prefix_interests *interests, struct kv_slice prefix,
                             uint32_t loop)
{
    pthread_mutex_lock(&interests->lock);
    struct slot *slot = slot_for(interests, kv_prefix_hash(prefix));
    atomic_fetch_or(&slot->loops, UINT64_C(1) << loop);
    count_length(interests, length_of(prefix), 1);
    pthread_mutex_unlock(&interests->lock);
}

void kv_prefix_interests_remove(struct kv_prefix_interests *interests, struct kv_slice prefix,
                                uint32_t loop)
{
    pthread_mutex_lock(&interests->lock);
    struct slot *slot = find(atomic_load(&interests->table), kv_prefix_hash(prefix));
    atomic_fetch_and(&slot->loops, ~(UINT64_C(1) << loop));
    count_length(interests, length_of(prefix), -1);
    pthread_mutex_unlock(&interests->lock);
}
