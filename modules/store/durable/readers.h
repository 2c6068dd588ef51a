/*
 * The threads that read data which may be on the disk: for GETs, pages of scans and of the change
 * log.
 */
#ifndef KV_DURABLE_READERS_H
#define KV_DURABLE_READERS_H

#include "change_log.h"
#include "queue.h"
#include "thread.h"

struct readers {
    const struct base *base;
    struct queue jobs; /* GETs, scans, pages of the log */
    struct change_log *log;
    struct queue *writes; /* for commands that only the writer can answer */
    struct thread *threads;
    uint32_t n;
};

/* writes: of the store's writer; lives longer than the threads. */
void readers_init(struct readers *readers, const struct base *base, struct change_log *log,
                  struct queue *writes);
void readers_fini(struct readers *readers);

/* Returns: an error number, or 0. Either way readers_stop() follows. */
int readers_start(struct readers *readers, uint32_t n);
void readers_stop(struct readers *readers);

#endif
