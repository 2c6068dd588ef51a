/*
 * Rows to put and erase, in order, as bytes: the content of a record of the journal, and the input
 * of an engine. They are idempotent: redoing them from any one to the last changes nothing.
 *
 *   1 byte   the table; the highest bit is set where the row is erased, the next one where the row
 *            ends with a reference to a file that has the rest of the value (value_file.h)
 *   4 bytes  the key's length, little-endian
 *   4 bytes  the value's
 *   the key, the value
 *
 * The value of an erased record is its change: 8 bytes: the revision; 1: the reason. So the rows
 * are a log as well: each change of a key has a row in the table of records, in the order of
 * revisions. A record row whose revision is not above the previous one is not a change: only its
 * deadline has moved.
 *
 * Threads: whoever owns them.
 */
#ifndef KV_DURABLE_ROWS_H
#define KV_DURABLE_ROWS_H

#include "engine.h"
#include "record.h"

enum {
    ROWS_ROOM = 32 /* bytes ahead of them, for the head of the journal's record */
};

struct rows {
    char *bytes;
    size_t len; /* with the room ahead; 0: no rows */
    size_t capacity;
    bool is_short; /* some are missing, as memory ran out */
};

void rows_clear(struct rows *rows);
void rows_fini(struct rows *rows);

void rows_put(struct rows *rows, enum kv_engine_table table, struct kv_slice key,
              struct kv_slice value);

/* The part of a state that must be known to change its rows into those of another. */
struct former {
    uint64_t revision; /* 0: the key was missing */
    int64_t deadline_ms;
};

static inline struct former former_of(const struct entry *entry)
{
    return (struct former){.revision = entry->revision, .deadline_ms = entry->deadline_ms};
}

/* Why a key was removed. */
struct removal {
    uint64_t revision;
    enum kv_reason reason;
};

/* Changes the rows of one key to those of its state `new`. A value in a file of its own is
 * stored as a reference. removal: if the key is removed, and the rows are for the journal;
 * otherwise NULL. */
void rows_change(struct rows *rows, struct former old, const struct entry *new,
                 struct record_clock clock, const struct removal *removal);

/* Adds the head. */
void rows_put_head(struct rows *rows, const struct record_store_head *head);

static inline struct kv_slice rows_slice(const struct rows *rows)
{
    if (rows->len == 0)
        return (struct kv_slice){0};
    return (struct kv_slice){.bytes = rows->bytes + ROWS_ROOM, .len = rows->len - ROWS_ROOM};
}

/* A row, its bytes among those of the rows. */
struct row {
    enum kv_engine_table table;
    bool is_erased;
    struct kv_slice key;
    struct kv_slice value;     /* without the part in a file */
    struct kv_slice reference; /* to that file; empty: none */
};

/* Takes the first row off the bytes. Returns: false if they do not start with a row. */
bool rows_take(struct kv_slice *rows, struct row *ret);

/* Returns: false if the row is not an erased record with a reason. */
bool row_read_removal(const struct row *row, struct removal *ret);

/* Adds a row to the engine's next commit. `values` has the value that the row may refer to.
 * Returns: false if that is missing or damaged, or there is no memory. */
bool row_give(const struct row *row, struct value_files *values, const struct kv_engine_ops *ops,
              struct kv_engine *engine);

/* The same for all rows, none of which refers to a file. Returns: false if they are malformed. */
bool rows_give(struct kv_slice rows, const struct kv_engine_ops *ops, struct kv_engine *engine);

#endif
