/*
 * The journal as the change log: pages of the changes after a revision, read back from the segments
 * that are kept for it.
 *
 * A segment's head has the last revision before its records, so the segment to start in is found
 * without an index, and revisions lost in a crash show as a gap between the last change of a
 * segment and that revision. A page contains only published changes.
 *
 * Threads: those of the readers.
 */
#ifndef KV_DURABLE_CHANGE_LOG_H
#define KV_DURABLE_CHANGE_LOG_H

#include <stdatomic.h>

#include "base.h"
#include "journal_log.h"

enum {
    CHANGE_LOG_BOOKMARKS = 16,
    CHANGE_LOG_STARTED = 4 /* readers that can continue without reading anything twice */
};

/* Where a page ended, so that the next one need not read the segment from its start. */
struct bookmark {
    uint64_t generation; /* of the segment; 0: none */
    uint64_t upto;       /* the last change before the place */
    uint64_t sequence;   /* of the record at the place */
    size_t at;
};

/* A record in which a page ended, kept so that the next page need neither read nor check it again:
 * a record may be as long as a segment, and a page a small part of it. */
struct started_record {
    uint64_t generation; /* of the segment */
    uint64_t upto;       /* the last change before the rows left */
    uint64_t sequence;
    size_t at;
    size_t len;
    struct kv_slice rest;      /* of the bytes read from the record on, in `bytes` */
    struct kv_slice rows_left; /* likewise */
    char *bytes;               /* NULL: there is none */
    size_t capacity;
};

struct change_log {
    const struct base *base;
    struct journal *journal;
    atomic_uint_fast64_t *newest; /* of the changes that readers may see */
    pthread_mutex_t lock;         /* for everything below */
    struct bookmark bookmarks[CHANGE_LOG_BOOKMARKS];
    size_t next_bookmark;
    struct started_record started[CHANGE_LOG_STARTED]; /* of the latest pages that ended so */
    size_t next_started;
};

void change_log_init(struct change_log *log, const struct base *base, struct journal *journal,
                     atomic_uint_fast64_t *newest);
void change_log_fini(struct change_log *log);

void change_log_fill(struct change_log *log, struct kv_log_page *page);

#endif
