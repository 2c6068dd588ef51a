/*
 * The change log in memory, for stores that keep none of their own (KV_STORE_LOG): the latest
 * changes in the order of their revisions, by reference to the states that they led to.
 *
 * It runs while there is anyone who could resume from a revision, and for `age` after the last one
 * has left; so it costs others nothing. Nothing is known of changes before it began.
 *
 * Bounded: the bytes of keys and values, and of the entries themselves, stay within `size`, and an
 * entry is dropped when it is older than `age`. What is dropped within the store's call cannot be
 * released there; kv_change_log_tidy() does it, at the end of the loops' turns.
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
    _Atomic int64_t tidy_at_ms; /* INT64_MAX: there is nothing to be dropped or released */

    pthread_mutex_t lock; /* of what follows; taken within the store's critical sections */
    uint32_t n_users;
    int64_t left_at_ms;           /* when the last of them left */
    uint64_t lost_upto;           /* nobody can resume from an earlier revision */
    uint64_t begins_after;        /* changes at or below it may be missing */
    struct kv_log_chunk **chunks; /* a ring; the entries' numbers count on for ever */
    size_t n_chunks;              /* a power of two, or 0 */
    uint64_t unreleased;          /* the first that was dropped and is not released */
    uint64_t first, end;          /* those that are there */
    uint64_t tidied_end;          /* `end`, when the log was last tidied */
    uint64_t bytes;               /* of those */
};

/* `watermark` decides whether the order is known; where it is not, there is no log. */
void kv_change_log_init(struct kv_change_log *log, const struct kv_store_link *store,
                        const struct kv_keyspace_parts *parts,
                        const struct kv_watermark *watermark);
/* The loops have ended, and the store is open still. */
void kv_change_log_fini(struct kv_change_log *log);

/* Somebody is about to be told revisions to resume from, or is not any more. The log is running
 * when the first returns. Threads: any. */
void kv_change_log_join(struct kv_change_log *log);
void kv_change_log_leave(struct kv_change_log *log);

/* The store tells a change. Threads: any; under the store's locks, calls ops->ref at most. */
void kv_change_log_append(struct kv_change_log *log, const struct kv_change *change);

/* Changes told before this revision have been lost, or some were missed. Threads: as append(). */
void kv_change_log_lose(struct kv_change_log *log, uint64_t revision);

static inline bool kv_change_log_is_running(const struct kv_change_log *log)
{
    return atomic_load(&log->is_running);
}

/* Fills a page, as ops->read_log() does, but for two things: an entry whose value is not kept has
 * none (reason SET, and revision 0 in `after`), and ends its page; and the entries are released by
 * kv_change_log_release(). Threads: any. */
void kv_change_log_read(struct kv_change_log *log, struct kv_log_page *page);
void kv_change_log_release(struct kv_change_log *log, struct kv_log_entry *entry);

/* Drops entries that are too old, a bounded number, and releases dropped ones: at least as many as
 * were appended since the last call, so that they cannot pile up. On a loop. */
void kv_change_log_tidy(struct kv_change_log *log);

/* Writes its size, where there is a log. Threads: any. */
void kv_change_log_collect(struct kv_change_log *log, struct kv_metrics_text *text);

/* When kv_change_log_tidy() has to be called at the latest; INT64_MAX: not for now. Sequentially
 * consistent. */
static inline int64_t kv_change_log_next_ms(const struct kv_change_log *log)
{
    return atomic_load(&log->tidy_at_ms);
}

#endif
