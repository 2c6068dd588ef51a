/*
 * The change log in memory, for stores that keep none of their own (KV_STORE_LOG): the latest
 * changes in the order of their revisions, with references to the states that resulted.
 *
 * It runs while any client could resume from a revision, and for `age` after the last such client
 * has left; otherwise it costs nothing. Changes from before it began are unknown, unless the store
 * recalls them (ops->recall).
 *
 * Bounded: the bytes of keys and values, and of the entries themselves, stay within `size`, and
 * entries are dropped when they are older than `age`. Entries dropped within a call of the store
 * cannot be released there; kv_change_log_tidy() does it, at the end of the loops' turns.
 */
#ifndef KV_KEYSPACE_CHANGE_LOG_H
#define KV_KEYSPACE_CHANGE_LOG_H

#include <pthread.h>

#include "base/metrics.h"
#include "keyspace/watermark.h"

struct kv_log_chunk;

struct kv_change_log {
    const struct kv_store_link *store;
    const struct kv_keyspace_parts *parts;
    const struct kv_watermark *watermark;
    uint64_t max_bytes; /* 0: there is no log */
    int64_t age_ms;

    atomic_bool is_running;
    _Atomic int64_t tidy_at_ms; /* INT64_MAX: nothing to drop or release */

    pthread_mutex_t lock; /* of the members below; taken within the store's critical sections */
    uint32_t n_users;
    int64_t left_at_ms;           /* when the last user left */
    uint64_t lost_upto;           /* no client can resume from an earlier revision */
    uint64_t begins_after;        /* changes at or below it may be missing */
    uint64_t began_after;         /* changes at or below it come by remember(), not by append() */
    struct kv_log_chunk **chunks; /* a ring; the numbers of entries never wrap */
    size_t n_chunks;              /* a power of two, or 0 */
    uint64_t unreleased;          /* the first entry that was dropped but not released */
    uint64_t first, end;          /* the entries in the log */
    uint64_t tidied_end;          /* `end`, when the log was last tidied */
    uint64_t bytes;               /* of the entries in the log */
};

/* If `watermark` does not know the order of changes, there is no log. */
void kv_change_log_init(struct kv_change_log *log, const struct kv_store_link *store,
                        const struct kv_keyspace_parts *parts,
                        const struct kv_watermark *watermark);
/* Releases all entries, and takes no more. Call when the loops have ended, while the store is still
 * open: its threads may still report changes. */
void kv_change_log_end(struct kv_change_log *log);
/* Call when the store is closed. */
void kv_change_log_fini(struct kv_change_log *log);

/* Adds, or removes, a client that may resume from a revision. The log is running when
 * kv_change_log_join() returns. Threads: any. */
void kv_change_log_join(struct kv_change_log *log);
void kv_change_log_leave(struct kv_change_log *log);

/* Appends a change, as the store reports it. Threads: any; under the store's locks, calls no
 * function of the store except ops->ref. */
void kv_change_log_append(struct kv_change_log *log, const struct kv_change *change);

/* Puts a change from before the log began at its front: between `after` and `upto`, at which the
 * log begins, there was no other change. at_ms: when that was. Returns: whether it was taken.
 * Otherwise none before it will be: it is too old, there is no more room, or the log has lost or
 * dropped changes meanwhile. Threads: any, beside append(). */
bool kv_change_log_remember(struct kv_change_log *log, uint64_t after, uint64_t upto,
                            const struct kv_change *change, int64_t at_ms);

/* Returns: the revision after which the log has all changes. Threads: any. */
uint64_t kv_change_log_begins_after(struct kv_change_log *log);

/* Changes before this revision have been lost, or were not reported. Threads: as append(). */
void kv_change_log_lose(struct kv_change_log *log, uint64_t revision);

static inline bool kv_change_log_is_running(const struct kv_change_log *log)
{
    return atomic_load(&log->is_running);
}

/* Fills a page, like ops->read_log(), with two differences: an entry whose value was not kept has
 * none (reason SET, and revision 0 in `after`), and ends its page; and the entries are released by
 * kv_change_log_release(). Threads: any. */
void kv_change_log_read(struct kv_change_log *log, struct kv_log_page *page);
void kv_change_log_release(struct kv_change_log *log, struct kv_log_entry *entry);

/* Drops entries that are too old, a bounded number, and releases dropped ones: at least as many as
 * were appended since the last call, so that they cannot pile up. On a loop. */
void kv_change_log_tidy(struct kv_change_log *log);

/* Writes the metrics of its size, if there is a log. Threads: any. */
void kv_change_log_collect(struct kv_change_log *log, struct kv_metrics_text *text);

/* The latest time at which kv_change_log_tidy() has to be called; INT64_MAX: none for now.
 * Sequentially consistent. */
static inline int64_t kv_change_log_next_ms(const struct kv_change_log *log)
{
    return atomic_load(&log->tidy_at_ms);
}

#endif
