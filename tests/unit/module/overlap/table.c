#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void row_fini(struct row *row)
{
    kv_buffer_fini(&row->key);
    kv_buffer_fini(&row->value);
}

void table_clear(struct table *self)
{
    while (self->n != 0)
        row_fini(&self->all[--self->n]);
}

struct row *table_find(struct table *self, enum kv_engine_table table, struct kv_slice key)
{
    for (size_t i = 0; i < self->n; i++)
        if (self->all[i].table == table && kv_slice_equals(kv_buffer_slice(&self->all[i].key), key))
            return &self->all[i];
    return NULL;
}

struct row *table_set(struct table *self, enum kv_engine_table table, struct kv_slice key)
{
    struct row *row = table_find(self, table, key);
    if (row == NULL) {
        assert_true(self->n < MOST_ROWS);
        row = &self->all[self->n++];
        *row = (struct row){.table = table};
        kv_buffer_append(&row->key, key);
    }
    row->value.len = 0;
    row->is_erased = false;
    return row;
}

void table_apply(struct table *self, const struct table *changes)
{
    for (size_t i = 0; i < changes->n; i++) {
        const struct row *change = &changes->all[i];
        struct row *row = table_set(self, change->table, kv_buffer_slice(&change->key));
        kv_buffer_append(&row->value, kv_buffer_slice(&change->value));
        row->is_erased = change->is_erased;
    }
}
