/*
 * A record of the journal as it stands in a segment, at a multiple of 8 bytes:
 *
 *   8 bytes  the sum of what follows, with the segment's generation as the seed
 *   8 bytes  the length, all of this included
 *   8 bytes  the number
 *   8 bytes  the last number that was known to be synced when this one was written
 *   rows
 *
 * The sum shows that a record is complete, and of this generation: remains of a segment's former
 * use do not match.
 */
#ifndef KV_DURABLE_JOURNAL_RECORD_H
#define KV_DURABLE_JOURNAL_RECORD_H

#include "rows.h"

enum {
    JOURNAL_RECORD_HEAD = ROWS_ROOM, /* bytes ahead of the rows */
    JOURNAL_RECORD_ALIGNMENT = 8
};

struct journal_record {
    uint64_t sequence;
    uint64_t synced;
    struct kv_slice rows;
};

/* The place of the next record after one that ends at `at`. */
static inline size_t journal_record_align(size_t at)
{
    return (at + JOURNAL_RECORD_ALIGNMENT - 1) / JOURNAL_RECORD_ALIGNMENT *
           JOURNAL_RECORD_ALIGNMENT;
}

/* Writes the head into the room ahead of the rows, which completes the record. */
void journal_record_finish(struct rows *rows, const struct journal_record *record,
                           uint64_t generation);

/* Returns: the length; 0 if there is no record of that generation at `at`. */
size_t journal_record_read(struct kv_slice bytes, size_t at, uint64_t generation,
                           struct journal_record *ret);

/* The bytes up to the next record's place, as claimed by the head, whether the record is complete
 * or not. */
size_t journal_record_len(struct kv_slice bytes);

#endif
