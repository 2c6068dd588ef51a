/*
 * The format of rows on the disk, as described in the module's README. Numbers have a fixed width;
 * they are little-endian in values and big-endian in keys, where the order of the bytes is that of
 * the numbers.
 *
 * Times on the disk are those of the store's own clock (struct record_clock): the wall clock in
 * milliseconds at opening, advancing evenly from there, and never going back.
 */
#ifndef KV_DURABLE_RECORD_H
#define KV_DURABLE_RECORD_H

#include "entry.h"

/* The offset from the host's clock to the store's: fixed while the store is open, so that setting
 * the wall clock does not move deadlines. */
struct record_clock {
    int64_t offset_ms;
};

/* ---- records: key -> revision, deadline, value ---- */

enum {
    RECORD_HEAD_MAX = 16
};

/* Writes the part before the value. Returns: its length. */
size_t record_head(const struct entry *entry, struct record_clock clock,
                   char head[RECORD_HEAD_MAX]);

/* The revision of a row; 0 if it is not a record. */
uint64_t record_revision(struct kv_slice row);

/* The same row with an empty value. */
struct kv_slice record_without_value(struct kv_slice row);

/* Reads a row. Returns: the entry; NULL with *ret_is_damaged if it is no record, NULL alone if
 * memory runs out. Owns: the caller. */
struct entry *record_read(struct kv_slice key, uint64_t hash, struct kv_slice row,
                          struct record_clock clock, bool *ret_is_damaged);

/* The same for a row without the last `n_unfilled` bytes of its value, which the caller fills
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

/* ---- the head: the state of the store, in every record of the journal ---- */

#define RECORD_STORE_HEAD_KEY KV_SLICE("head")

struct record_store_head {
    uint64_t sequence; /* the journal's last record whose rows the engine has */
    uint64_t revision; /* the last one given out */
    uint64_t
        reserved;    /* the reserved limit: on the disk before any revision up to it is assigned */
    int64_t seen_ms; /* the store's clock at that time */
    bool is_clean;   /* written by an orderly close, after everything else */
};

enum {
    RECORD_STORE_HEAD_BYTES = 33
};

void record_store_head_write(const struct record_store_head *head,
                             char bytes[RECORD_STORE_HEAD_BYTES]);

/* Returns: false if the bytes are not a head. A head of format 1 has no sequence: it is 0. */
bool record_store_head_read(struct kv_slice bytes, struct record_store_head *ret);

#endif
