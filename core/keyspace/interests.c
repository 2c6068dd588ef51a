#include "keyspace/interests.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

/* Prefixes of this loop that commits do not distinguish. */
struct alike {
    struct kv_table_node node;
    uint32_t n;
};

void kv_interests_init(struct kv_interests *interests)
{
    interests->in_keys = kv_calloc(KV_INTEREST_BUCKETS, sizeof(*interests->in_keys));
    kv_prefix_interests_init(&interests->in_prefixes);
}

void kv_interests_fini(struct kv_interests *interests)
{
    free(interests->in_keys);
    kv_prefix_interests_fini(&interests->in_prefixes);
}

void kv_loop_interests_init(struct kv_loop_interests *here, struct kv_interests *all, uint32_t loop)
{
    *here = (struct kv_loop_interests){.all = all, .loop = loop};
    here->n_in_keys = kv_calloc(KV_INTEREST_BUCKETS, sizeof(*here->n_in_keys));
}

void kv_loop_interests_fini(struct kv_loop_interests *here)
{
    free(here->n_in_keys);
    kv_table_fini(&here->in_prefixes);
}

void kv_interest_in_key_begin(struct kv_loop_interests *here, uint64_t hash)
{
    size_t bucket = hash % KV_INTEREST_BUCKETS;
    if (here->n_in_keys[bucket]++ == 0)
        atomic_fetch_or(&here->all->in_keys[bucket], UINT64_C(1) << here->loop);
}

void kv_interest_in_key_end(struct kv_loop_interests *here, uint64_t hash)
{
    size_t bucket = hash % KV_INTEREST_BUCKETS;
    if (--here->n_in_keys[bucket] == 0)
        atomic_fetch_and(&here->all->in_keys[bucket], ~(UINT64_C(1) << here->loop));
}

static struct alike *find_alike(const struct kv_loop_interests *here, uint64_t hash)
{
    struct kv_table_node *node = kv_table_next(&here->in_prefixes, hash, NULL);
    return node == NULL ? NULL : KV_CONTAINER(node, struct alike, node);
}

void kv_interest_in_prefix_begin(struct kv_loop_interests *here, struct kv_slice prefix)
{
    uint64_t hash = kv_prefix_hash(prefix);
    struct alike *alike = find_alike(here, hash);
    if (alike == NULL) {
        alike = kv_calloc(1, sizeof(*alike));
        kv_table_insert(&here->in_prefixes, &alike->node, hash);
        kv_prefix_interests_add(&here->all->in_prefixes, prefix, here->loop);
    }
    alike->n++;
}

void kv_interest_in_prefix_end(struct kv_loop_interests *here, struct kv_slice prefix)
{
    struct alike *alike = find_alike(here, kv_prefix_hash(prefix));
    assert(alike != NULL);
    if (--alike->n != 0)
        return;
    kv_prefix_interests_remove(&here->all->in_prefixes, prefix, here->loop);
    kv_table_remove(&here->in_prefixes, &alike->node);
    free(alike);
}
