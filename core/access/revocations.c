#include "access/revocations.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/table.h"

struct kv_revocations {
    pthread_mutex_t lock;
    struct kv_table table; /* of bare nodes: only their hash is stored */
    _Atomic size_t n;
    atomic_bool are_known;
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

static void free_all(struct kv_table *table)
{
    for (size_t i = 0; i < table->n_buckets; i++)
        for (struct kv_table_node *node = table->buckets[i], *next; node != NULL; node = next) {
            next = node->next;
            free(node);
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

static void change(struct kv_revocations *revocations, uint64_t hash, bool is_there)
{
    struct kv_table_node *node = kv_table_next(&revocations->table, hash, NULL);
    if (is_there && node == NULL) {
        kv_table_insert(&revocations->table, kv_calloc(1, sizeof(*node)), hash);
    } else if (!is_there && node != NULL) {
        kv_table_remove(&revocations->table, node);
        free(node);
    }
    atomic_store(&revocations->n, revocations->table.n);
}

void kv_revocations_note(struct kv_revocations *revocations, struct kv_slice key, bool is_there)
{
    struct kv_slice rest = {key.bytes + revocations->prefix_len, key.len - revocations->prefix_len};
    pthread_mutex_lock(&revocations->lock);
    change(revocations, kv_hash(rest), is_there);
    pthread_mutex_unlock(&revocations->lock);
}

void kv_revocations_set_known(struct kv_revocations *revocations)
{
    atomic_store(&revocations->are_known, true);
}

bool kv_revocations_are_known(const struct kv_revocations *revocations)
{
    return atomic_load(&revocations->are_known);
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
