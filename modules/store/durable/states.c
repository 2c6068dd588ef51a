/*
 * Shards of chained hash tables. The clock's hand moves round a shard's buckets; it skips an entry
 * that is held, that the engine lacks, or that was used since it last passed.
 *
 * Invariants, under the lock: at most one entry of a key is in the table; it has one reference of
 * the table. An entry whose state is unknown is in the table only while it is held.
 */
#include "states.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    N_SHARDS = 256,
    FIRST_BUCKETS = 64,
    MAX_PASSED = 16 /* buckets that one insertion examines to make room */
};

struct shard {
    pthread_mutex_t lock;
    uint64_t generation; /* incremented whenever a key is held, learned or published */
    struct entry **buckets;
    size_t n_buckets; /* a power of two */
    size_t n_entries;
    size_t bytes;
    size_t hand; /* the next bucket to examine */
};

struct states {
    const struct kv_host *host;
    size_t max_shard_bytes;
    atomic_uint_fast64_t applied; /* the journal's record up to which the engine has the states */
    struct shard shards[N_SHARDS];
};

static struct shard *shard_of(struct states *states, uint64_t hash)
{
    return &states->shards[(hash >> 32) % N_SHARDS];
}

/* ---- the table ---- */

static struct entry **place_of(struct shard *shard, struct kv_slice key, uint64_t hash)
{
    struct entry **place = &shard->buckets[hash & (shard->n_buckets - 1)];
    while (*place != NULL && ((*place)->hash != hash || !kv_slice_equals(entry_key(*place), key)))
        place = &(*place)->in_chain;
    return place;
}

/* If memory runs out, the chains grow longer. */
static void grow(struct shard *shard)
{
    size_t n_buckets = 2 * shard->n_buckets;
    struct entry **buckets = calloc(n_buckets, sizeof(struct entry *));
    if (buckets == NULL)
        return;
    for (size_t i = 0; i < shard->n_buckets; i++)
        for (struct entry *entry = shard->buckets[i], *next; entry != NULL; entry = next) {
            next = entry->in_chain;
            struct entry **bucket = &buckets[entry->hash & (n_buckets - 1)];
            entry->in_chain = *bucket;
            *bucket = entry;
        }
    free(shard->buckets);
    shard->buckets = buckets;
    shard->n_buckets = n_buckets;
}

static void insert(struct shard *shard, struct entry *entry)
{
    if (shard->n_entries >= shard->n_buckets)
        grow(shard);
    struct entry **bucket = &shard->buckets[entry->hash & (shard->n_buckets - 1)];
    entry->in_chain = *bucket;
    *bucket = entry_ref(entry);
    shard->n_entries++;
    shard->bytes += entry_size(entry);
    entry->was_used = true;
}

/* Returns: the table's reference. */
static struct entry *take_out(struct shard *shard, struct entry *entry)
{
    struct entry **place = &shard->buckets[entry->hash & (shard->n_buckets - 1)];
    while (*place != entry)
        place = &(*place)->in_chain;
    *place = entry->in_chain;
    shard->n_entries--;
    shard->bytes -= entry_size(entry);
    return entry;
}

/* Whether the engine lacks the entry. */
static bool is_ahead(struct states *states, const struct entry *entry)
{
    return entry->sequence > atomic_load_explicit(&states->applied, memory_order_acquire);
}

/* Removes entries that have not been used for long from a bucket. Returns: `out` with it,
 * chained. */
static struct entry *clear_bucket(struct states *states, struct shard *shard, struct entry **place,
                                  struct entry *out)
{
    while (*place != NULL) {
        struct entry *entry = *place;
        if (entry->n_holds != 0 || entry->was_used || is_ahead(states, entry)) {
            entry->was_used = false;
            place = &entry->in_chain;
            continue;
        }
        *place = entry->in_chain;
        shard->n_entries--;
        shard->bytes -= entry_size(entry);
        entry->in_chain = out;
        out = entry;
    }
    return out;
}

/* Evicts while there is too much, for a bounded number of buckets. Returns: the removed entries,
 * chained, for free_chain() after the lock. */
static struct entry *make_room(struct states *states, struct shard *shard)
{
    struct entry *out = NULL;
    for (int i = 0; i < MAX_PASSED && shard->bytes > states->max_shard_bytes; i++) {
        out = clear_bucket(states, shard, &shard->buckets[shard->hand], out);
        shard->hand = (shard->hand + 1) & (shard->n_buckets - 1);
    }
    return out;
}

static void free_chain(struct entry *entry)
{
    while (entry != NULL) {
        struct entry *next = entry->in_chain;
        entry_unref(entry);
        entry = next;
    }
}

/* ---- readers ---- */

/* Under the lock, so this reading of the clock is later than that of any writer that has released
 * the key, and earlier than that of any writer that holds it afterwards. */
static bool has_expired(struct states *states, const struct entry *entry)
{
    return entry->deadline_ms != KV_NEVER &&
           states->host->now_ms(states->host) >= entry->deadline_ms;
}

/* The result of a reader's look at an entry in the table. */
static enum glance judge(struct states *states, struct entry *entry, struct entry **ret)
{
    if (!entry_is_there(entry))
        return GLANCE_MISSING;
    if (has_expired(states, entry))
        return entry->n_holds != 0 ? GLANCE_HELD : GLANCE_MISSING;
    entry->was_used = true;
    *ret = entry_ref(entry);
    return GLANCE_FOUND;
}

enum glance states_look(struct states *states, struct kv_slice key, uint64_t hash,
                        struct entry **ret, uint64_t *ret_generation)
{
    struct shard *shard = shard_of(states, hash);
    enum glance glance = GLANCE_UNKNOWN;
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = *place_of(shard, key, hash);
    if (entry != NULL && !entry->is_unknown)
        glance = judge(states, entry, ret);
    *ret_generation = shard->generation;
    pthread_mutex_unlock(&shard->lock);
    return glance;
}

/* Under the lock: `found` is the published state. */
static enum glance settle(struct states *states, struct shard *shard, struct entry *found,
                          struct entry **ret)
{
    if (found == NULL)
        return GLANCE_MISSING;
    struct entry *present = *place_of(shard, entry_key(found), found->hash);
    if (has_expired(states, found))
        return present != NULL && present->n_holds != 0 ? GLANCE_HELD : GLANCE_MISSING;
    if (present == NULL && entry_size(found) <= states->max_shard_bytes / 4)
        insert(shard, found);
    *ret = entry_ref(found);
    return GLANCE_FOUND;
}

enum glance states_settle(struct states *states, uint64_t hash, uint64_t generation,
                          struct entry *found, struct entry **ret)
{
    struct shard *shard = shard_of(states, hash);
    enum glance glance = GLANCE_STALE;
    struct entry *out = NULL;
    pthread_mutex_lock(&shard->lock);
    if (shard->generation == generation) {
        glance = settle(states, shard, found, ret);
        out = make_room(states, shard);
    }
    pthread_mutex_unlock(&shard->lock);
    free_chain(out);
    entry_unref(found);
    return glance;
}

/* ---- holding ---- */

struct entry *states_hold(struct states *states, struct kv_slice key, uint64_t hash,
                          bool *ret_is_unknown)
{
    struct shard *shard = shard_of(states, hash);
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = *place_of(shard, key, hash);
    if (entry != NULL) {
        entry_ref(entry);
    } else if ((entry = entry_create_absent(key, hash)) != NULL) {
        entry->is_unknown = true;
        insert(shard, entry);
    }
    if (entry != NULL) {
        *ret_is_unknown = entry->is_unknown;
        entry->n_holds++;
        shard->generation++;
    }
    pthread_mutex_unlock(&shard->lock);
    return entry;
}

/* Replaces `present` by `next`; the table's reference to `present` is released after the lock. */
static void replace(struct shard *shard, struct entry *present, struct entry *next)
{
    struct entry **place = &shard->buckets[present->hash & (shard->n_buckets - 1)];
    while (*place != present)
        place = &(*place)->in_chain;
    next->in_chain = present->in_chain;
    *place = entry_ref(next);
    shard->bytes += entry_size(next) - entry_size(present);
    next->n_holds = present->n_holds;
    next->was_used = true;
    present->n_holds = 0;
    shard->generation++;
}

/* Under the lock. */
static void learn(struct shard *shard, struct entry *unknown, struct entry *known)
{
    if (known != NULL)
        replace(shard, unknown, known);
    else
        shard->generation++;
    unknown->is_unknown = false;
}

/* Only a known state can have replaced the unknown one. */
struct entry *states_learn(struct states *states, struct entry *unknown, struct entry *known)
{
    struct shard *shard = shard_of(states, unknown->hash);
    pthread_mutex_lock(&shard->lock);
    bool is_first = unknown->is_unknown;
    if (is_first)
        learn(shard, unknown, known);
    struct entry *present = entry_ref(*place_of(shard, entry_key(unknown), unknown->hash));
    pthread_mutex_unlock(&shard->lock);
    if (present != unknown && is_first)
        entry_unref(unknown); /* the table's */
    entry_unref(unknown);
    entry_unref(known);
    return present;
}

/* Under the lock: the state that replaced this one took over its holds. */
static struct entry *published_of(struct shard *shard, struct entry *held)
{
    return held->n_holds != 0 ? held : *place_of(shard, entry_key(held), held->hash);
}

void states_let_go(struct states *states, struct entry *held)
{
    struct shard *shard = shard_of(states, held->hash);
    struct entry *out = NULL;
    pthread_mutex_lock(&shard->lock);
    struct entry *published = published_of(shard, held);
    /* A held key has an entry. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    bool is_free = --published->n_holds == 0;
    bool is_worth_it = entry_is_there(published) && !published->is_unknown &&
                       entry_size(published) <= states->max_shard_bytes / 4;
    bool is_kept = is_worth_it || is_ahead(states, published);
    if (is_free && !is_kept)
        take_out(shard, published);
    else
        out = make_room(states, shard);
    pthread_mutex_unlock(&shard->lock);
    free_chain(out);
    if (is_free && !is_kept)
        entry_unref(published);
}

/* ---- the writer ---- */

void states_publish(struct states *states, struct entry *published, struct entry *next)
{
    struct shard *shard = shard_of(states, published->hash);
    pthread_mutex_lock(&shard->lock);
    replace(shard, published, next);
    pthread_mutex_unlock(&shard->lock);
    entry_unref(published);
}

/* ---- the applier ---- */

/* Returns: whether there are still too many bytes. */
static bool shrink(struct states *states, struct shard *shard, size_t *ret_n_buckets)
{
    pthread_mutex_lock(&shard->lock);
    *ret_n_buckets = shard->n_buckets;
    struct entry *out = make_room(states, shard);
    bool is_too_much = shard->bytes > states->max_shard_bytes;
    pthread_mutex_unlock(&shard->lock);
    free_chain(out);
    return is_too_much;
}

/* The hand goes round at most twice: once to clear the marks of use, and once to evict. */
void states_applied(struct states *states, uint64_t sequence)
{
    atomic_store_explicit(&states->applied, sequence, memory_order_release);
    for (size_t i = 0; i < N_SHARDS; i++) {
        struct shard *shard = &states->shards[i];
        size_t n_buckets;
        for (size_t n_seen = 0; shrink(states, shard, &n_buckets) && n_seen < 2 * n_buckets;)
            n_seen += MAX_PASSED;
    }
}

/* ---- life ---- */

struct states *states_create(const struct kv_host *host, size_t max_bytes)
{
    struct states *states = calloc(1, sizeof(*states));
    if (states == NULL)
        return NULL;
    states->host = host;
    states->max_shard_bytes = max_bytes / N_SHARDS;
    for (size_t i = 0; i < N_SHARDS; i++) {
        struct shard *shard = &states->shards[i];
        pthread_mutex_init(&shard->lock, NULL);
        shard->n_buckets = FIRST_BUCKETS;
        shard->buckets = calloc(FIRST_BUCKETS, sizeof(struct entry *));
        if (shard->buckets == NULL) {
            states_destroy(states);
            return NULL;
        }
    }
    return states;
}

void states_destroy(struct states *states)
{
    if (states == NULL)
        return;
    for (size_t i = 0; i < N_SHARDS; i++) {
        struct shard *shard = &states->shards[i];
        for (size_t j = 0; shard->buckets != NULL && j < shard->n_buckets; j++)
            free_chain(shard->buckets[j]);
        if (shard->n_buckets != 0)
            pthread_mutex_destroy(&shard->lock);
        free(shard->buckets);
    }
    free(states);
}
