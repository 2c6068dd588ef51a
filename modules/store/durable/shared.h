/*
 * The state of an open store, which its threads share. Locks: those of the queues and of the
 * states' shards, each held for a few instructions and never together.
 */
#ifndef KV_DURABLE_SHARED_H
#define KV_DURABLE_SHARED_H

#include <pthread.h>
#include <stdatomic.h>

#include "applier.h"
#include "batch.h"
#include "folder.h"
#include "journal.h"
#include "queue.h"
#include "reserve.h"
#include "room.h"
#include "stager.h"
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
    struct stager stager;
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
    struct turn *open; /* takes commands; during a sync the other turn waits for it */
    bool is_syncing;
    int64_t sync_begun_ns;
    size_t n_expected;        /* commands that just answered clients may send; 0: none awaited */
    int64_t patient_until_ns; /* until when the open turn waits for them */
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

#endif
