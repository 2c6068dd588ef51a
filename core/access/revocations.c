#include "access/revocations.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/table.h"

enum {
    MOST_GONE = 1 << 16
};

/* Only its hash is stored. */
struct key {
    struct kv_table_node node;
    uint32_t reading; /* in which it was noted last */
    bool is_gone;     /* it was removed during that reading, whose pages may still show it */
};

struct kv_revocations {
    pthread_mutex_t lock;
    struct kv_table table;
    uint32_t reading; /* a number for each reading of all keys */
    bool is_reading;
    uint32_t n_gone;    /* keys in the table that are gone, of this reading and earlier ones */
    bool has_forgotten; /* more keys were removed since the reading began */
    _Atomic size_t n;
    atomic_bool are_known;
    atomic_bool are_lost;
    size_t prefix_len;
    char prefix[];
};

struct kv_revocations *kv_revocations_create(struct kv_slice prefix)
{
    struct kv_revocations *revocations = kv_calloc(1, sizeof(*revocations) + prefix.len);
    pthread_mutex_init(&revocations->lock, NULL);
    memcpy(revocations->prefix, prefix.bytes, prefix.len);
    revocations->prefix_len = prefix.len;
    return revocations;
}

static struct key *key_of(struct kv_table_node *node)
{
    return KV_CONTAINER(node, struct key, node);
}

static void free_all(struct kv_table *table)
{
    for (size_t i = 0; i < table->n_buckets; i++)
        for (struct kv_table_node *node = table->buckets[i], *next; node != NULL; node = next) {
            next = node->next;
            free(key_of(node));
        }
    kv_table_fini(table);
}

void kv_revocations_destroy(struct kv_revocations *revocations)
{
    if (revocations == NULL)
        return;
    free_all(&revocations->table);
    pthread_mutex_destroy(&revocations->lock);
    free(revocations);
}

struct kv_slice kv_revocations_prefix(const struct kv_revocations *revocations)
{
    return (struct kv_slice){revocations->prefix, revocations->prefix_len};
}

static struct key *find(struct kv_revocations *revocations, uint64_t hash)
{
    struct kv_table_node *node = kv_table_next(&revocations->table, hash, NULL);
    return node == NULL ? NULL : key_of(node);
}

static struct key *find_or_add(struct kv_revocations *revocations, uint64_t hash)
{
    struct key *key = find(revocations, hash);
    if (key == NULL) {
        key = kv_calloc(1, sizeof(*key));
        kv_table_insert(&revocations->table, &key->node, hash);
    }
    key->reading = revocations->reading;
    return key;
}

static void set_gone(struct kv_revocations *revocations, struct key *key, bool is_gone)
{
    if (is_gone && !key->is_gone)
        revocations->n_gone++;
    if (!is_gone && key->is_gone)
        revocations->n_gone--;
    key->is_gone = is_gone;
}

static void add(struct kv_revocations *revocations, uint64_t hash)
{
    set_gone(revocations, find_or_add(revocations, hash), false);
}

/* A page that was read before the key was removed must not bring it back. */
static void add_read(struct kv_revocations *revocations, uint64_t hash)
{
    const struct key *key = find(revocations, hash);
    if (key == NULL || !key->is_gone || key->reading != revocations->reading)
        add(revocations, hash);
}

static void forget(struct kv_revocations *revocations, struct key *key)
{
    set_gone(revocations, key, false);
    kv_table_remove(&revocations->table, &key->node);
    free(key);
}

static void remove_key(struct kv_revocations *revocations, uint64_t hash)
{
    struct key *key = find(revocations, hash);
    bool has_room = revocations->n_gone < MOST_GONE || (key != NULL && key->is_gone);
    if (revocations->is_reading && has_room) {
        set_gone(revocations, find_or_add(revocations, hash), true);
        return;
    }
    revocations->has_forgotten |= revocations->is_reading;
    if (key != NULL)
        forget(revocations, key);
}

/* Returns: the hash of a key. */
static uint64_t lock_for(struct kv_revocations *revocations, struct kv_slice key)
{
    struct kv_slice rest = {key.bytes + revocations->prefix_len, key.len - revocations->prefix_len};
    pthread_mutex_lock(&revocations->lock);
    return kv_hash(rest);
}

static void unlock(struct kv_revocations *revocations)
{
    atomic_store(&revocations->n, revocations->table.n - revocations->n_gone);
    pthread_mutex_unlock(&revocations->lock);
}

void kv_revocations_note(struct kv_revocations *revocations, struct kv_slice key, bool is_there)
{
    uint64_t hash = lock_for(revocations, key);
    if (is_there)
        add(revocations, hash);
    else
        remove_key(revocations, hash);
    unlock(revocations);
}

void kv_revocations_read(struct kv_revocations *revocations, struct kv_slice key)
{
    uint64_t hash = lock_for(revocations, key);
    add_read(revocations, hash);
    unlock(revocations);
}

void kv_revocations_begin(struct kv_revocations *revocations)
{
    pthread_mutex_lock(&revocations->lock);
    revocations->reading++;
    revocations->is_reading = true;
    revocations->has_forgotten = false;
    pthread_mutex_unlock(&revocations->lock);
}

/* A table may shrink, and move its nodes, when one is removed: so all of them move to a new one. */
static void forget_unread(struct kv_revocations *revocations)
{
    struct kv_table all = revocations->table;
    revocations->table = (struct kv_table){0};
    for (size_t i = 0; i < all.n_buckets; i++)
        for (struct kv_table_node *node = all.buckets[i], *next; node != NULL; node = next) {
            next = node->next;
            if (key_of(node)->reading == revocations->reading && !key_of(node)->is_gone)
                kv_table_insert(&revocations->table, node, node->hash);
            else
                free(key_of(node));
        }
    kv_table_fini(&all);
    revocations->n_gone = 0;
}

bool kv_revocations_end(struct kv_revocations *revocations)
{
    pthread_mutex_lock(&revocations->lock);
    bool has_forgotten = revocations->has_forgotten;
    revocations->is_reading = false;
    forget_unread(revocations);
    unlock(revocations);
    atomic_store(&revocations->are_known, true);
    atomic_store(&revocations->are_lost, false);
    return has_forgotten;
}

void kv_revocations_lose(struct kv_revocations *revocations)
{
    atomic_store(&revocations->are_lost, true);
}

bool kv_revocations_are_known(const struct kv_revocations *revocations)
{
    return atomic_load(&revocations->are_known);
}

bool kv_revocations_are_lost(const struct kv_revocations *revocations)
{
    return atomic_load(&revocations->are_lost);
}

static bool has(struct kv_revocations *revocations, struct kv_slice text)
{
    uint64_t hash = kv_hash(text);
    pthread_mutex_lock(&revocations->lock);
    const struct key *key = find(revocations, hash);
    bool has = key != NULL && !key->is_gone;
    pthread_mutex_unlock(&revocations->lock);
    return has;
}

bool kv_revocations_have(struct kv_revocations *revocations, struct kv_slice id,
                         struct kv_slice issuer, struct kv_slice subject)
{
    struct kv_buffer text = {0};
    bool is_revoked = false;
    if (atomic_load(&revocations->n) == 0)
        return false;
    if (id.len != 0) {
        kv_buffer_append(&text, KV_SLICE("jti/"));
        kv_buffer_append(&text, id);
        is_revoked = has(revocations, kv_buffer_slice(&text));
    }
    if (!is_revoked && subject.len != 0) {
        text.len = 0;
        kv_buffer_append(&text, KV_SLICE("sub/"));
        kv_buffer_append(&text, issuer);
        kv_buffer_append_char(&text, '/');
        kv_buffer_append(&text, subject);
        is_revoked = has(revocations, kv_buffer_slice(&text));
    }
    kv_buffer_fini(&text);
    return is_revoked;
}
