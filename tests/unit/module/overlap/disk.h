/*
 * A disk whose writes and syncs take as long, and end, as the test specifies. The journal's files
 * are real: the linker redirects the store's pwrite() and fdatasync() to this file's functions. The
 * engine is a table in memory, whose persisted part survives its closing. The power can be cut. The
 * clock of the store's threads may jump, as if they were delayed.
 */
#ifndef KV_TEST_OVERLAP_DISK_H
#define KV_TEST_OVERLAP_DISK_H

#include <pthread.h>

#include "table.h"

/* Keys of commands that only show the writer's progress (rig.h). */
#define BARRIER KV_SLICE("barrier")

/* For all that the store's threads and the test share. */
extern pthread_mutex_t disk_lock;
extern pthread_cond_t disk_moved;

/* The engine; a reader holds the lock, or knows that there is no other user. */
struct kv_engine {
    struct table committed;
    struct table batch;
};

struct disk {
    size_t n_writes;                   /* records, since the store opened */
    size_t n_syncs;                    /* syncs started */
    size_t n_allowed;                  /* syncs that may end */
    enum kv_engine_status write, sync; /* results of the journal's writes and syncs */
    enum kv_engine_status commit;      /* results of the engine's commits */
    size_t n_commits;                  /* commits started */
    bool is_engine_busy;               /* commits do not end */
    bool is_engine_eager;              /* each commit persists its records, and nothing else */
    size_t n_barriers;                 /* looked up in the engine */
    struct kv_engine *engine;
    struct table persisted; /* the engine's content when it is opened */
};
extern struct disk disk;

extern const struct kv_engine_ops table_engine_ops;

/* The advance of the clock of the store's threads, and its increase after each reading. */
extern _Atomic int64_t disk_held_up_ns, disk_held_up_each_time_ns;

/* A disk without faults, whose syncs end at once. */
void disk_init(void);

/* Results of the journal's writes and syncs from now on, and of the engine's commits. */
void disk_say(enum kv_engine_status write, enum kv_engine_status sync);
void disk_say_of_engine(enum kv_engine_status commit);

/* Lets the first n syncs end. */
void disk_allow(size_t n);

/* Applies the effect of a power cut to the files of a copied folder: restores bytes overwritten
 * since the last sync of their file. Appended bytes are kept. */
void disk_cut_power(const char *from, const char *to);

/* Waits until the counter, which is protected by the lock, reaches n. */
void disk_await(const size_t *counter, size_t n);

/* Waits under the lock for any progress; fails the test if there is none for long. */
void disk_wait(void);

#endif
