/*
 * How rows look on the disk; the module's README describes the same in words. Numbers are fixed in
 * width, little-endian in values, big-endian in keys, where their order is that of the bytes.
 *
 * Times on the disk are the store's own clock (struct record_clock): milliseconds of the wall clock
 * as they were when the store was opened, going on evenly from there, and never back.
 */
#ifndef KV_DURABLE_RECORD_H
#define KV_DURABLE_RECORD_H

#include "entry.h"

/* From the host's clock to the store's: fixed while the store is open, so that a wall clock that
 * is set does not move deadlines. */
struct record_clock {
    int64_t offset_ms;
};

/* ---- records: key -> revision, deadline, value ---- */

enum {
    RECORD_HEAD_MAX = 16
};

/* Writes what stands ahead of the value. Returns: its length. */
size_t record_head(const struct entry *entry, struct record_clock clock,
                   char head[RECORD_HEAD_MAX]);

/* The revision of a row; 0 where it is no record. */
uint64_t record_revision(struct kv_slice row);

/* A row that is the same but for its value, which is empty. */
struct kv_slice record_without_value(struct kv_slice row);

/* Reads a row. Returns: the entry; NULL with *ret_is_damaged if it is no record, NULL alone if
 * memory runs out. Owns: the caller. */
struct entry *record_read(struct kv_slice key, uint64_t hash, struct kv_slice row,
                          struct record_clock clock, bool *ret_is_damaged);

/* The same of a row the last `n_unfilled` bytes of whose value are elsewhere: the caller fills them
 * in. */
struct entry *record_read_unfilled(struct kv_slice key, uint64_t hash, struct kv_slice row,
                                   size_t n_unfilled, struct record_clock clock,
                                   bool *ret_is_damaged);

/* ---- deadlines: time and revision -> key ---- */

struct deadline_row {
    unsigned char bytes[16];
};

struct deadline_row deadline_row(int64_t deadline_ms, uint64_t revision, struct record_clock clock);
int64_t deadline_row_ms(const struct deadline_row *row, struct record_clock clock);
uint64_t deadline_row_revision(const struct deadline_row *row);

static inline struct kv_slice deadline_row_slice(const struct deadline_row *row)
{
    return (struct kv_slice){.bytes = (const char *)row->bytes, .len = sizeof(row->bytes)};
}

/* ---- the head: what the store knows of itself, in every record of the journal ---- */

#define RECORD_STORE_HEAD_KEY KV_SLICE("head")

struct record_store_head {
    uint64_t sequence; /* of the journal's last record whose rows the engine has */
    uint64_t revision; /* the last one given out */
    uint64_t reserved; /* none above it has been given out: safe on the disk before any is */
    int64_t seen_ms;   /* the store's clock then */
    bool is_clean;     /* written by a close, with everything before it */
};

enum {
    RECORD_STORE_HEAD_BYTES = 33
};

void record_store_head_write(const struct record_store_head *head,
                             char bytes[RECORD_STORE_HEAD_BYTES]);

/* Returns: false if the bytes are none. Those of format 1 have no sequence: it is 0. */
bool record_store_head_read(struct kv_slice bytes, struct record_store_head *ret);

#endif
