#include "access/revocations.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/table.h"

/* Only its hash is stored. */
struct key {
    struct kv_table_node node;
    uint32_t reading; /* in which it was noted last */
};

struct kv_revocations {
    pthread_mutex_t lock;
    struct kv_table table;
    uint32_t reading; /* a number for each reading of all keys */
    bool has_removed; /* since the reading began */
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

static void add(struct kv_revocations *revocations, uint64_t hash)
{
    struct kv_table_node *node = kv_table_next(&revocations->table, hash, NULL);
    if (node == NULL) {
        struct key *key = kv_calloc(1, sizeof(*key));
        node = &key->node;
        kv_table_insert(&revocations->table, node, hash);
    }
    key_of(node)->reading = revocations->reading;
}

static void remove_key(struct kv_revocations *revocations, uint64_t hash)
{
    struct kv_table_node *node = kv_table_next(&revocations->table, hash, NULL);
    revocations->has_removed = true;
    if (node == NULL)
        return;
    kv_table_remove(&revocations->table, node);
    free(key_of(node));
}

void kv_revocations_note(struct kv_revocations *revocations, struct kv_slice key, bool is_there)
{
    struct kv_slice rest = {key.bytes + revocations->prefix_len, key.len - revocations->prefix_len};
    pthread_mutex_lock(&revocations->lock);
    if (is_there)
        add(revocations, kv_hash(rest));
    else
        remove_key(revocations, kv_hash(rest));
    atomic_store(&revocations->n, revocations->table.n);
    pthread_mutex_unlock(&revocations->lock);
}

void kv_revocations_begin(struct kv_revocations *revocations)
{
    pthread_mutex_lock(&revocations->lock);
    revocations->reading++;
    revocations->has_removed = false;
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
            if (key_of(node)->reading == revocations->reading)
                kv_table_insert(&revocations->table, node, node->hash);
            else
                free(key_of(node));
        }
    kv_table_fini(&all);
}

bool kv_revocations_end(struct kv_revocations *revocations)
{
    pthread_mutex_lock(&revocations->lock);
    bool has_removed = revocations->has_removed;
    forget_unread(revocations);
    atomic_store(&revocations->n, revocations->table.n);
    pthread_mutex_unlock(&revocations->lock);
    atomic_store(&revocations->are_known, true);
    atomic_store(&revocations->are_lost, false);
    return has_removed;
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
    bool has = kv_table_next(&revocations->table, hash, NULL) != NULL;
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
