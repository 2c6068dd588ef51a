/*
 * The journal makes a commit survive a crash or a power cut before the engine has its rows. It is a
 * write-ahead log of physical records: redoing it from any record that the engine may lack restores
 * the engine's rows (ARIES calls that repeating history).
 *
 * The files are segments of one size, filled with zeros when they are created, and reused once the
 * engine has persisted their records. A sync then has to write neither a new length nor new blocks,
 * which takes half of the time that it takes at the end of a growing file. A record longer than a
 * segment has a file of its own, which is deleted afterwards.
 *
 *   <folder>/<number>.journal    64 bytes of head, records at multiples of 8 bytes, and in the last
 *                                64 bytes a copy of the head
 *
 * Records are numbered without gaps. Remains of a segment's former use have another generation and
 * are ignored. A segment is synced before the next one starts. So if a record cannot be read, and
 * there is a later segment, or a later record that was written when this one was known to be
 * synced, the file is damaged; otherwise the journal ends there after a power cut.
 *
 * A segment whose head is damaged is identified by its first record, or by the head's copy
 * (segment_identify.h). Its records count as usual; only the change log ends there. If the first
 * record is damaged, too, the segment may be missing only if the engine has all its records; if it
 * cannot be identified at all, only if the engine is known to have everything.
 *
 * Threads: the writer's. One other thread may call journal_forget(), journal_prepare() and
 * journal_bytes() at any time, and journal_sync() while the writer does not append.
 */
#ifndef KV_DURABLE_JOURNAL_H
#define KV_DURABLE_JOURNAL_H

#include "engine.h"
#include "rows.h"
#include "value_file.h"

#include <pthread.h>

struct segment;

struct journal {
    const char *folder; /* owned by the caller */
    size_t segment_size;
    uint64_t next;           /* the number of the next record */
    uint64_t synced;         /* the last one that is known to be synced */
    struct segment *current; /* NULL: none was started, or it failed */
    size_t at;               /* where the next record goes */
    uint64_t base;           /* the last revision before those of the next record */
    size_t log_bytes;        /* kept beyond those that the engine needs */
    int64_t log_ms;          /* the longest time to keep them */
    size_t n_damaged;        /* segments found with a damaged head, or of a wrong length */
    struct segment *damaged; /* those of them that cannot be identified */
    struct value_files values;
    struct kv_histogram syncs; /* written by several threads */
    struct kv_counter records;
    struct kv_counter record_bytes;

    pthread_mutex_t lock;     /* for everything below */
    struct segment *segments; /* all of them, the youngest first */
    uint64_t generation;      /* of the youngest */
    uint64_t number;          /* the highest of a file */
};

/* Receives the rows of a record. Returns: false if they are refused. */
typedef bool (*journal_take_fn)(void *context, uint64_t sequence, struct kv_slice rows);

/* log_bytes, log_ms: as in struct kv_store_host. folder: exists, and lives as long as the journal.
 * segment_size: in bytes, a multiple of 4096; segments of other sizes are read, but not reused. The
 * journal must be closed even after a failure. */
int journal_open(struct journal *journal, const char *folder, size_t segment_size, size_t log_bytes,
                 int64_t log_ms, struct kv_error *reterr);
void journal_close(struct journal *journal); /* accepts zeros */

/* Reports its metrics. Threads: any. */
void journal_metrics(const struct journal *journal, struct kv_metrics_out *out);

/* Whether the journal exists, that is, has a segment that was started. */
bool journal_is_there(const struct journal *journal);

/* Reads the records after `after`, in order. Returns: 0, or -1 and *reterr if a record is damaged,
 * missing or refused. The next record appended will follow the last one read. */
int journal_read(struct journal *journal, uint64_t after, journal_take_fn take, void *context,
                 struct kv_error *reterr);

/* Instead of reading: the store was closed in order after the record `last`. Any damage affects
 * only the change log. Returns: as journal_read(). */
int journal_end_at(struct journal *journal, uint64_t last, struct kv_error *reterr);

/* Instead of reading: ignores all records. */
void journal_skip(struct journal *journal, uint64_t after);

/* Starts a segment with the next record: at first, and after a failure, once the engine has
 * persisted all valid records. Refused records are cut off. */
enum kv_engine_status journal_begin(struct journal *journal);

/* Appends a record with these rows, whose number is `next`, and writes the record's head into
 * the room ahead of them. After a failure, the journal accepts no more records until
 * journal_begin(). */
enum kv_engine_status journal_append(struct journal *journal, struct rows *rows);

/* Makes the appended records survive a power cut. */
enum kv_engine_status journal_sync(struct journal *journal);

/* Discards the record `next` and all later ones. */
void journal_refuse(struct journal *journal, uint64_t next);

/* The engine has persisted all records up to this one: once the change log need not keep them,
 * their value files are deleted, and their segments reused. */
void journal_forget(struct journal *journal, uint64_t sequence);

/* The size of the segments that the engine needs. */
size_t journal_bytes(struct journal *journal);

/* Deletes the segments that the engine does not need, except for a few. */
void journal_shrink(struct journal *journal);

/* Prepares the next segment, if none is prepared. A failure is reported when the segment is
 * needed. */
void journal_prepare(struct journal *journal);

#endif
