/*
 * What the files of this folder share. Locks: those of the queues and of the states' shards, each
 * held for a few instructions and never together.
 */
#ifndef KV_DURABLE_IMPL_H
#define KV_DURABLE_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "batch.h"
#include "durable.h"
#include "folder.h"
#include "queue.h"
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
    struct record_clock clock;
    struct states *states;
    char epoch[33];
    enum durability durability;
    int64_t interval_ms;

    struct queue writes; /* for the writer: commands in order, scans, expiries */
    struct queue reads;  /* for the readers: GETs */
    pthread_t writer;
    bool has_writer;
    pthread_t *readers;
    uint32_t n_readers;
    atomic_bool is_expiring[DEADLINES_PARTS]; /* asked of the writer, and not done yet */

    /* the writer's only */
    struct batch_head head;
    struct turn turns[2];
    struct turn
        *open; /* the turn that takes commands; while there is a sync, the other waits for it */
    bool is_syncing;
    struct syncer syncer;
    struct deadlines deadlines;
    struct kv_cmd *given_back[MOST_GIVEN_BACK];
    bool is_unsynced;          /* committed, and not synced */
    int64_t sync_at_ms;        /* CLOCK_MONOTONIC: when it is to be, with DURABILITY_INTERVAL */
    enum kv_engine_status ill; /* why the engine takes no commits; OK where it does */
    int64_t recover_at_ms;     /* CLOCK_MONOTONIC */
    int64_t recover_wait_ms;   /* before the next attempt */
};

/* writer.c */
void *writer_run(void *store);
/* Opening and closing, where no thread runs: reads what the store knows of itself, or writes it. */
int writer_open(struct kv_store *store, struct kv_error *reterr);
void writer_close(struct kv_store *store);

/* reader.c */
void *reader_run(void *store);
/* Answers a GET from memory, or from the engine where that need not wait (or may). Returns: the
 * glance: UNKNOWN where a thread that may wait, HELD where the writer has to answer. */
enum glance reader_get(struct kv_store *store, struct kv_cmd *cmd, bool may_wait);

/* scan.c */
void scan_fill(struct kv_store *store, struct kv_scan *scan);
void scan_fail(struct kv_scan *scan, enum kv_status why);

#endif
