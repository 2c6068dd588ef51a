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

/* Frees all of them. */
void table_clear(struct table *self);

/* The row of that key, or NULL. */
struct row *table_find(struct table *self, enum kv_engine_table table, struct kv_slice key);

/* The row of that key, with an empty value. */
struct row *table_set(struct table *self, enum kv_engine_table table, struct kv_slice key);

/* Makes the changes, which stay as they are. */
void table_apply(struct table *self, const struct table *changes);

#endif
