/*
 * A table for people. All rows are kept until it is printed, as each column is as wide as its
 * widest cell.
 */
#ifndef KV_KVCTL_TABLE_H
#define KV_KVCTL_TABLE_H

#include "base/buffer.h"

enum {
    KV_CTL_MOST_COLUMNS = 16
};

enum kv_ctl_cell {
    KV_CTL_CELL_TEXT,   /* a string; printed like keys (output.h) */
    KV_CTL_CELL_NUMBER, /* unchanged */
    KV_CTL_CELL_FLAG,   /* printed as yes or no */
    KV_CTL_CELL_SPAN,   /* milliseconds; printed as seconds */
    KV_CTL_CELL_TIME    /* milliseconds since 1970; printed as UTC */
};

struct kv_ctl_column {
    const char *title;
    struct kv_slice member; /* of the objects that make up the rows */
    enum kv_ctl_cell cell;
};

/* All zero except for the columns to begin with. Owns: the text, by kv_ctl_table_fini(). */
struct kv_ctl_table {
    const struct kv_ctl_column *columns; /* lent */
    size_t n_columns;                    /* at most KV_CTL_MOST_COLUMNS */
    struct kv_buffer text;               /* all cells, each followed by a NUL */
};

/* Adds a row with the members of a JSON object; `-` for missing ones. Returns: 0, or -1 if it is
 * not such an object. */
int kv_ctl_table_add(struct kv_ctl_table *table, struct kv_slice object);

void kv_ctl_table_put(const struct kv_ctl_table *table);
void kv_ctl_table_fini(struct kv_ctl_table *table);

#endif
