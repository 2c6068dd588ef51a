/*
 * A table for people. All rows are kept until it is printed, as its columns are as wide as their
 * widest cell.
 */
#ifndef KV_KVCTL_TABLE_H
#define KV_KVCTL_TABLE_H

#include "base/buffer.h"

enum {
    KV_CTL_MOST_COLUMNS = 16
};

enum kv_ctl_cell {
    KV_CTL_CELL_TEXT,   /* a string; shown as keys are (output.h) */
    KV_CTL_CELL_NUMBER, /* as it is */
    KV_CTL_CELL_FLAG,   /* yes or no */
    KV_CTL_CELL_SPAN,   /* milliseconds; shown as seconds */
    KV_CTL_CELL_TIME    /* milliseconds since 1970; shown as UTC */
};

struct kv_ctl_column {
    const char *title;
    struct kv_slice member; /* of the objects that are the rows */
    enum kv_ctl_cell cell;
};

/* All but the columns zero to begin with. Owns: the text, by kv_ctl_table_fini(). */
struct kv_ctl_table {
    const struct kv_ctl_column *columns; /* lent */
    size_t n_columns;                    /* at most KV_CTL_MOST_COLUMNS */
    struct kv_buffer text;               /* every cell, with a NUL behind it */
};

/* Adds a row: the members of a JSON object; `-` where there is none. Returns: 0, or -1 where it is
 * no such object. */
int kv_ctl_table_add(struct kv_ctl_table *table, struct kv_slice object);

void kv_ctl_table_put(const struct kv_ctl_table *table);
void kv_ctl_table_fini(struct kv_ctl_table *table);

#endif
