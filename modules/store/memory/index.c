#include "index.h"

enum {
    READ_AT_ONCE = 16 /* fetched ahead */
};

/* The hash's lowest bits are those of the shard, and zero: see table_probe(). */
#define IS_ADDRESS UINT64_C(1)

static uint64_t ref_of(const struct probe *probe, const struct entry *entry)
{
    return entry_is_twin(entry) ? (uint64_t)(uintptr_t)entry | IS_ADDRESS : probe->hash;
}

static struct entry *entry_at(const struct index *index, uint64_t ref)
{
    if ((ref & IS_ADDRESS) == 0)
        return table_resolve(index->table, index->host, ref);
    return (struct entry *)(uintptr_t)(ref - IS_ADDRESS); /* NOLINT(performance-no-int-to-ptr) */
}

static struct kv_slice key_of(const void *context, uint64_t ref)
{
    return entry_key(entry_at(context, ref));
}

void index_init(struct index *index, struct table *table, const struct kv_store_host *host)
{
    *index = (struct index){.table = table, .host = host};
    tree_init(&index->tree, (struct tree_keys){.of = key_of, .context = index});
}

void index_fini(struct index *index)
{
    tree_fini(&index->tree);
}

bool index_insert(struct index *index, const struct probe *probe, struct entry *entry,
                  const struct tree_place *place)
{
    entry_set_twin(entry, table_has_hash(index->table, index->host, probe));
    return tree_insert(&index->tree, probe->key, ref_of(probe, entry), place);
}

void index_remove(struct index *index, const struct probe *probe, const struct entry *entry)
{
    tree_remove(&index->tree, probe->key, ref_of(probe, entry));
}

void index_replace(struct index *index, const struct probe *probe, const struct entry *twin,
                   const struct entry *fresh)
{
    tree_replace(&index->tree, probe->key, ref_of(probe, twin), ref_of(probe, fresh));
}

/* Prefetches the parts of the table that are needed to find these. */
static void fetch(const struct index *index, const uint64_t *refs, size_t n)
{
    if (n < 2)
        return;
    struct probe probes[READ_AT_ONCE];
    for (size_t i = 0; i < n; i++) {
        probes[i] = (struct probe){.hash = refs[i], .tag = table_tag(refs[i])};
        table_prefetch_group(index->table, &probes[i]);
    }
    for (size_t i = 0; i < n; i++)
        table_prefetch_entry(index->table, &probes[i]);
}

size_t index_read(struct index *index, const struct tree_position *from, struct kv_slice prefix,
                  struct entry **entries, size_t max)
{
    uint64_t refs[READ_AT_ONCE];
    size_t n = tree_read(&index->tree, from, refs, max < READ_AT_ONCE ? max : (size_t)READ_AT_ONCE);
    fetch(index, refs, n);
    for (size_t i = 0; i < n; i++) {
        entries[i] = entry_at(index, refs[i]);
        if (!kv_slice_has_prefix(entry_key(entries[i]), prefix))
            return i;
    }
    return n;
}
