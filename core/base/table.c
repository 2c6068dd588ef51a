/* Doubles when there are as many nodes as buckets; shrinks when three quarters are empty, so that a
 * burst of entries does not keep its memory. */
#include "base/table.h"

#include <stdlib.h>

#include "base/mem.h"

enum {
    LEAST_BUCKETS = 16
};

static struct kv_table_node **bucket_of(const struct kv_table *table, uint64_t hash)
{
    return &table->buckets[hash & (table->n_buckets - 1)];
}

static void resize(struct kv_table *table, size_t n_buckets)
{
    struct kv_table old = *table;
    table->buckets = kv_calloc(n_buckets, sizeof(struct kv_table_node *));
    table->n_buckets = n_buckets;
    for (size_t i = 0; i < old.n_buckets; i++) {
        for (struct kv_table_node *node = old.buckets[i], *next; node != NULL; node = next) {
            struct kv_table_node **bucket = bucket_of(table, node->hash);
            next = node->next;
            node->next = *bucket;
            *bucket = node;
        }
    }
    free(old.buckets);
}

void kv_table_fini(struct kv_table *table)
{
    free(table->buckets);
    *table = (struct kv_table){0};
}

void kv_table_insert(struct kv_table *table, struct kv_table_node *node, uint64_t hash)
{
    if (table->n >= table->n_buckets)
        resize(table, table->n_buckets == 0 ? LEAST_BUCKETS : table->n_buckets * 2);
    struct kv_table_node **bucket = bucket_of(table, hash);
    node->hash = hash;
    node->next = *bucket;
    *bucket = node;
    table->n++;
}

void kv_table_remove(struct kv_table *table, struct kv_table_node *node)
{
    struct kv_table_node **at = bucket_of(table, node->hash);
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    table->n--;
    if (table->n_buckets > LEAST_BUCKETS && table->n < table->n_buckets / 4)
        resize(table, table->n_buckets / 2);
}

struct kv_table_node *kv_table_next(const struct kv_table *table, uint64_t hash,
                                    struct kv_table_node *node)
{
    if (node != NULL)
        node = node->next;
    else if (table->n_buckets != 0)
        node = *bucket_of(table, hash);
    while (node != NULL && node->hash != hash)
        node = node->next;
    return node;
}
