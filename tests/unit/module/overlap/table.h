/* A table of rows, in memory. */
#ifndef KV_TEST_OVERLAP_TABLE_H
#define KV_TEST_OVERLAP_TABLE_H

#include "base/buffer.h"
#include "engine.h"

enum {
    MOST_ROWS = 64
};

struct row {
    enum kv_engine_table table;
    struct kv_buffer key, value;
    bool is_erased;
};

struct table {
    struct row all[MOST_ROWS];
    size_t n;
};

/* Frees all rows. */
void table_clear(struct table *self);

/* The row with that key, or NULL. */
struct row *table_find(struct table *self, enum kv_engine_table table, struct kv_slice key);

/* The row with that key; a new one has an empty value. */
struct row *table_set(struct table *self, enum kv_engine_table table, struct kv_slice key);

/* Applies the changes, which remain unchanged. */
void table_apply(struct table *self, const struct table *changes);

#endif
