/*
 * Reading for a GET, and the threads that read what may be on the disk: GETs, and pages of scans.
 */
#ifndef KV_DURABLE_READER_H
#define KV_DURABLE_READER_H

#include "base.h"
#include "queue.h"

struct readers {
    const struct base *base;
    struct queue jobs;    /* GETs, scans */
    struct queue *writes; /* where those go that only the writer can answer */
    pthread_t *threads;
    uint32_t n;
};

/* writes: of the store's writer; lives longer than the threads. */
void readers_init(struct readers *readers, const struct base *base, struct queue *writes);
void readers_fini(struct readers *readers);

/* Returns: an error number, or 0. Either way readers_stop() follows. */
int readers_start(struct readers *readers, uint32_t n);
void readers_stop(struct readers *readers);

/* Answers a GET from memory, or from the engine where that need not wait (or may). Returns: the
 * glance: UNKNOWN where a thread that may wait has to answer, HELD where the writer has to. */
enum glance reader_get(const struct base *base, struct kv_cmd *cmd, bool may_wait);

#endif
