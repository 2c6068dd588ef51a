/*
 * The path of a batch's rows. They go to the journal first, in one record; when that is safe, the
 * batch takes effect. They go to the engine later, with the rows of many other batches (applier.h),
 * and the engine persists them later still; until then the journal keeps them. The head, a row of
 * every record and every commit, contains the last record that the engine has.
 *
 * Threads: the writer's, or before it runs and after it has ended.
 */
#ifndef KV_DURABLE_COMMITTER_H
#define KV_DURABLE_COMMITTER_H

#include <stdatomic.h>

#include "applier.h"
#include "base.h"
#include "journal.h"
#include "rows.h"

struct committer {
    struct base *base; /* the opening sets its clock and its epoch */
    struct journal journal;
    struct applier applier;
    struct rows rows;              /* of the next record */
    uint64_t revision;             /* the last one given out */
    atomic_uint_fast64_t newest;   /* of the changes that readers may see */
    struct record_store_head head; /* as in the journal's last record */
    uint64_t published;            /* the last record that has taken effect */
    struct changes changes;        /* that have taken effect, not yet given to the applier */
    bool has_engine_failed;        /* not only the journal has */
};

/* writes: the writer's queue, which the applier stirs. */
void committer_init(struct committer *committer, struct base *base, struct queue *writes);
void committer_fini(struct committer *committer);

/* Appends committer->rows and the head to the journal. After a failure no more is appended before
 * recovery_run(). */
enum kv_engine_status committer_append(struct committer *committer);

/* The same without regard to how much the engine lacks, and without giving up the record. */
enum kv_engine_status committer_append_head(struct committer *committer);

/* Passes the collected changes to the applier, if there are enough of them, without waiting if
 * possible. */
enum kv_engine_status committer_apply(struct committer *committer);

/* Waits until the engine has all changes that have taken effect. */
enum kv_engine_status committer_drain(struct committer *committer);

/* The same, and until it has persisted them. */
enum kv_engine_status committer_persist(struct committer *committer);

/* Bytes of the journal that the engine may lack, before writes wait for it. */
size_t committer_most_journal(const struct base *base);

#endif
