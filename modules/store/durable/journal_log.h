/*
 * The journal's segments for the change log (change_log.h): pinned, so that they are not
 * overwritten meanwhile.
 *
 * Threads: any.
 */
#ifndef KV_DURABLE_JOURNAL_LOG_H
#define KV_DURABLE_JOURNAL_LOG_H

#include "journal.h"

/* A place to read the log from. The segment is unchanged until it is unpinned. */
struct journal_place {
    struct segment *segment;
    uint64_t end;       /* the first record that is not of the segment; 0: it is the current one */
    uint64_t next_base; /* of the segment after it; 0: it is the current one */
};

/* Finds and pins the segment that has the changes after a revision, or the segment that follows
 * another. Returns: false if there is none. */
bool journal_pin(struct journal *journal, uint64_t after, struct journal_place *ret);
bool journal_pin_next(struct journal *journal, const struct journal_place *place,
                      struct journal_place *ret);
void journal_unpin(struct journal *journal, const struct journal_place *place);

/* Parses a record of the log from bytes of its segment that start at a record's place. Returns: the
 * bytes that the record takes there; 0 if there is no such record. */
size_t journal_parse(const struct segment *segment, struct kv_slice bytes, uint64_t sequence,
                     struct kv_slice *ret_rows);

#endif
