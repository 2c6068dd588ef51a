/*
 * What the files of this folder share. Locks: those of the queues and of the states' shards, each
 * held for a few instructions and never together.
 */
#ifndef KV_DURABLE_IMPL_H
#define KV_DURABLE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "applier.h"
#include "batch.h"
#include "durable.h"
#include "folder.h"
#include "journal.h"
#include "queue.h"
#include "reserve.h"
#include "room.h"
#include "syncer.h"

enum durability {
    DURABILITY_ALWAYS,
    DURABILITY_INTERVAL,
    DURABILITY_OS
};

enum {
    MOST_GIVEN_BACK = 1024 /* commands in one call of host->done(), of several jobs */
};

/* A batch, and the jobs that wait for it. */
struct turn {
    struct batch batch;
    uint64_t sequence; /* of the journal's record that has its changes */
    struct job *first; /* in order */
    struct job **end;
    struct job *expiries;
};

struct kv_store {
    const struct kv_store_host *host;
    const struct kv_engine_ops *ops;
    struct kv_engine *engine;
    const char *path;
    struct folder folder;
    bool is_only_read;
    struct record_clock clock;
    struct states *states;
    char epoch[33];
    enum durability durability;
    int64_t interval_ms;
    size_t journal_size; /* bytes of it that the engine may lack on its disk */

    struct queue writes; /* for the writer: commands in order, scans, expiries */
    struct queue reads;  /* for the readers: GETs */
    pthread_t writer;
    bool has_writer;
    pthread_t *readers;
    uint32_t n_readers;
    atomic_bool is_expiring[DEADLINES_PARTS]; /* asked of the writer, and not done yet */

    /* the writer's only */
    struct journal journal;
    struct rows rows;              /* of the record to come */
    uint64_t revision;             /* the last one given out */
    struct record_store_head head; /* as the journal's last record has it */
    uint64_t published;            /* the last record that has taken effect */
    struct changes changes;        /* that have, and the applier has not been given yet */
    struct applier applier;
    struct turn turns[2];
    struct turn
        *open; /* the turn that takes commands; while there is a sync, the other waits for it */
    bool is_syncing;
    int64_t sync_begun_ns;
    size_t n_expected;        /* commands that may come now that their clients have been answered */
    int64_t patient_until_ns; /* the open turn waits for them no longer; n_expected is 0 then */
    struct syncer syncer;
    struct deadlines deadlines;
    struct kv_cmd *given_back[MOST_GIVEN_BACK];
    bool is_unsynced;   /* appended, and not synced */
    int64_t sync_at_ms; /* CLOCK_MONOTONIC: when it is to be, with DURABILITY_INTERVAL */
    struct room room;
    struct reserve reserve;    /* given up while the disk is full */
    enum kv_engine_status ill; /* why writes are refused; OK where they are not */
    bool has_engine_failed;    /* not only the journal has */
    int64_t recover_at_ms;     /* CLOCK_MONOTONIC; of a full disk: when to look for room */
    int64_t recover_wait_ms;   /* before the next attempt */
};

/* writer.c */
void *writer_run(void *store);
/* Where no thread runs yet. */
int writer_open(struct kv_store *store, struct kv_error *reterr);
/* The same for a store that is only read, by scans. Returns: 1 where it has to be recovered first.
 */
int writer_open_to_read(struct kv_store *store, struct kv_error *reterr);

/* commit.c, for the writer: what becomes of the rows of a batch, first a record of the journal, and
 * later the engine's */
/* Appends store->rows and the head. After a failure no more is appended before commit_recover(). */
enum kv_engine_status commit_append(struct kv_store *store);
/* Has the changes that have gathered applied, if they are enough, without waiting if it can. */
enum kv_engine_status commit_apply(struct kv_store *store);
/* Waits until the engine has everything that has taken effect. */
enum kv_engine_status commit_drain(struct kv_store *store);
/* After a failure: brings everything that has taken effect to the disk, and begins the journal
 * anew. Where the disk is full it gives up the reserve for that, and notes it in store->room. */
enum kv_engine_status commit_recover(struct kv_store *store);
/* Sets the reserve aside again. */
enum kv_engine_status commit_find_room(struct kv_store *store);
/* Opening and closing, where the writer does not run. */
int commit_open(struct kv_store *store, struct kv_error *reterr);
void commit_close(struct kv_store *store);
/* Without the journal, which a store that was closed in order does not need. Returns: 1 where it
 * was not. */
int commit_open_to_read(struct kv_store *store, struct kv_error *reterr);

/* reader.c */
void *reader_run(void *store);
/* Answers a GET from memory, or from the engine where that need not wait (or may). Returns: the
 * glance: UNKNOWN where a thread that may wait, HELD where the writer has to answer. */
enum glance reader_get(struct kv_store *store, struct kv_cmd *cmd, bool may_wait);

/* scan.c */
void scan_fill(struct kv_store *store, struct kv_scan *scan);
void scan_fail(struct kv_scan *scan, enum kv_status why);

#endif
