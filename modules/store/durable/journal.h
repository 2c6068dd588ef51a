/*
 * The journal: what makes a commit survive a crash or a power cut before the engine has its rows.
 * A write-ahead log of physical records: to read it again from any record on that the engine may
 * lack brings the engine's rows to what they were (ARIES calls that repeating history).
 *
 * The files are segments of one size, filled with zeros when they are made and written over again
 * once the engine has on its disk what they hold. A sync then finds neither a new length nor new
 * blocks to write down: that takes half of what it takes at the end of a growing file. A record
 * longer than a segment has a file of its own, which is deleted afterwards.
 *
 *   <folder>/<number>.journal    64 bytes of head, records at multiples of 8 bytes, and in the last
 *                                64 bytes a copy of the head
 *
 * Records are numbered without gaps. What is left of a segment's former life has another generation
 * and does not count. A segment is synced before the next begins: so where a record cannot be read
 * and there is a later segment, or a later record that was written when this one was known to be
 * synced, the file is damaged; otherwise that is where the power was cut.
 *
 * A segment whose head is damaged is known by its first record, or by the copy
 * (segment_identify.h). Its records count as ever; only the log ends there. Where the first record
 * is damaged, too, the segment can be done without if the engine has all of it, and where nobody
 * knows what it is, only if the engine is known to have everything.
 *
 * Threads: the writer's. But journal_forget(), journal_prepare() and journal_bytes() may be called
 * by one other thread at any time, and journal_sync() while the writer does not append.
 */
#ifndef KV_DURABLE_JOURNAL_H
#define KV_DURABLE_JOURNAL_H

#include "engine.h"
#include "rows.h"
#include "value_file.h"

#include <pthread.h>

struct segment;

struct journal {
    const char *folder; /* of the caller's */
    size_t segment_size;
    uint64_t next;           /* the number of the next record */
    uint64_t synced;         /* the last one that is known to be synced */
    struct segment *current; /* NULL: none has begun, or it failed */
    size_t at;               /* where the next record goes */
    uint64_t base;           /* the last revision before those of the next record */
    size_t log_bytes; /* of segments and value files to be kept that the engine does not need */
    int64_t log_ms;   /* not longer than that */
    size_t n_damaged; /* segments found with a damaged head, or of a wrong length */
    struct segment *damaged; /* of these, those of which nobody knows what they are */
    struct value_files values;
    struct kv_histogram syncs; /* written by several threads */
    struct kv_counter records;
    struct kv_counter record_bytes;

    pthread_mutex_t lock;     /* of what follows */
    struct segment *segments; /* all of them, the youngest first */
    uint64_t generation;      /* of the youngest */
    uint64_t number;          /* the highest of a file */
};

/* The rows of a record. Returns: false if they cannot be taken. */
typedef bool (*journal_take_fn)(void *context, uint64_t sequence, struct kv_slice rows);

/* log_bytes, log_ms: as in struct kv_store_host. folder: is there, and lives as long as the
 * journal. segment_size: in bytes, a multiple of 4096; segments of another are read, and not used
 * again. After a failure, too, it is to be closed. */
int journal_open(struct journal *journal, const char *folder, size_t segment_size, size_t log_bytes,
                 int64_t log_ms, struct kv_error *reterr);
void journal_close(struct journal *journal); /* accepts one of zeros */

/* Tells its figures. Threads: any. */
void journal_metrics(const struct journal *journal, struct kv_metrics_out *out);

/* Whether there is anything of it: a segment that has begun. */
bool journal_is_there(const struct journal *journal);

/* Reads what comes behind the record `after`, in order. Returns: 0, or -1 and *reterr if a record
 * is damaged or missing, or was not taken. The next record will be the one behind the last. */
int journal_read(struct journal *journal, uint64_t after, journal_take_fn take, void *context,
                 struct kv_error *reterr);

/* Instead of reading: the store was closed in order after the record `last`. Whatever is damaged,
 * only the log needs. Returns: as journal_read(). */
int journal_end_at(struct journal *journal, uint64_t last, struct kv_error *reterr);

/* Instead of reading: whatever there is does not count. */
void journal_skip(struct journal *journal, uint64_t after);

/* Begins a segment with the next record: at first, and after a failure, once what was appended
 * before and counts is in the engine, and on its disk. What was appended in vain is cut off. */
enum kv_engine_status journal_begin(struct journal *journal);

/* Appends a record with these rows, whose number is `next`. In the room ahead of them it writes
 * what it has to say itself. After a failure it takes no more until it begins anew. */
enum kv_engine_status journal_append(struct journal *journal, struct rows *rows);

/* Makes what was appended survive a power cut. */
enum kv_engine_status journal_sync(struct journal *journal);

/* The next record was appended in vain: it does not count, and no other does. */
void journal_refuse(struct journal *journal, uint64_t next);

/* The engine has all records up to this one on its disk: once the log need not keep them, their
 * value files are deleted, and their segments used again. */
void journal_forget(struct journal *journal, uint64_t sequence);

/* Bytes of the segments that the engine needs. */
size_t journal_bytes(struct journal *journal);

/* Deletes the segments that the engine does not need, but for a few. */
void journal_shrink(struct journal *journal);

/* Makes a segment to be used next, where there is none. A failure shows when it is needed. */
void journal_prepare(struct journal *journal);

#endif
