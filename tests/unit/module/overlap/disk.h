/*
 * A disk whose writes and syncs take as long, and end, as the test says. The journal's files are
 * real: the linker has pwrite() and fdatasync() of the store call what is here. The engine is a
 * table in memory, of which what is persisted outlives its closing. The power can be cut. And the
 * clock of the store's threads may jump, as if they were held up.
 */
#ifndef KV_TEST_OVERLAP_DISK_H
#define KV_TEST_OVERLAP_DISK_H

#include <pthread.h>

#include "table.h"

/* Keys of commands that only show how far the writer is (rig.h). */
#define BARRIER KV_SLICE("barrier")

/* Of all that the store's threads and the test share. */
extern pthread_mutex_t disk_lock;
extern pthread_cond_t disk_moved;

/* The engine; who looks into it holds the lock, or knows that nobody else does. */
struct kv_engine {
    struct table committed;
    struct table batch;
};

struct disk {
    size_t n_writes;                   /* records, since the store opened */
    size_t n_syncs;                    /* begun */
    size_t n_allowed;                  /* that may end */
    enum kv_engine_status write, sync; /* what becomes of the journal's */
    enum kv_engine_status commit;      /* and of the engine's commits */
    size_t n_commits;                  /* begun */
    bool is_engine_busy;               /* they do not end */
    bool is_engine_eager;              /* each commit persists its records, and nothing else */
    size_t n_barriers;                 /* that were looked for in the engine */
    struct kv_engine *engine;
    struct table persisted; /* of the engine: what is there when it is opened */
};
extern struct disk disk;

extern const struct kv_engine_ops table_engine_ops;

/* How far the clock of the store's threads is ahead, and by how much more after each look. */
extern _Atomic int64_t disk_held_up_ns, disk_held_up_each_time_ns;

/* A disk on which all is well, and whose syncs end at once. */
void disk_init(void);

/* What becomes of the journal's writes and syncs from now on, and of the engine's commits. */
void disk_say(enum kv_engine_status write, enum kv_engine_status sync);
void disk_say_of_engine(enum kv_engine_status commit);

/* Lets the n-th sync end, and those before. */
void disk_allow(size_t n);

/* Takes back what a power cut would take from the files of a folder that has been copied: the bytes
 * that were written over others since the last sync of their file. Files that grow keep theirs. */
void disk_cut_power(const char *from, const char *to);

/* Waits until the counter, one of those under the lock, has come to n. */
void disk_await(const size_t *counter, size_t n);

/* Waits under the lock for something to move; fails the test where nothing does for long. */
void disk_wait(void);

#endif
