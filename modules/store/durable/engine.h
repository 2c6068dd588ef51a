/*
 * What a durable store is built on: an ordered, transactional table of bytes on a disk. The store
 * around it (durable.h) knows commands, revisions, deadlines and readers; an engine knows rows.
 *
 * Threads: get() may be called by many threads at any time; sync(), where the engine `can_overlap`,
 * by one other thread while rows are put and committed, but not during recover(). Everything else
 * is called by one thread, the store's writer, or before and after it lives.
 *
 * What an engine promises: rows that were put and erased since the last commit are seen by nobody
 * until kv_engine_ops.commit() makes them all take effect at once, or none of them; with
 * `is_synced` they survive a power cut from its return on, and nobody has seen them before.
 */
#ifndef KV_DURABLE_ENGINE_H
#define KV_DURABLE_ENGINE_H

#include <kvserver/store.h>

#include <pthread.h>

struct kv_engine; /* the engine's own */

enum kv_engine_table {
    KV_ENGINE_RECORDS,   /* keys of any length */
    KV_ENGINE_DEADLINES, /* keys of 16 bytes */
    KV_ENGINE_META,      /* a few short keys */
    KV_ENGINE_N_TABLES
};

enum kv_engine_status {
    KV_ENGINE_OK,
    KV_ENGINE_ABSENT,  /* there is no such row */
    KV_ENGINE_WAITING, /* get() that may not wait: the answer may be on the disk */
    KV_ENGINE_FULL,    /* the disk is full */
    KV_ENGINE_FAILED,  /* the medium failed; logged by the engine */
};

/* A row found. The bytes are lent for the call. */
typedef void (*kv_engine_take_fn)(void *context, struct kv_slice value);

/* A row met on a walk. The bytes are lent for the call. Returns: whether to go on. */
typedef bool (*kv_engine_visit_fn)(void *context, struct kv_slice key, struct kv_slice value);

struct kv_engine_ops {
    const char *name;   /* of the store, as in the configuration */
    bool can_overlap;   /* rows may be put and committed while others are being synced */
    uint32_t max_batch; /* commands that one commit is to hold at most */
    size_t max_row;     /* bytes of a key and its value */

    /* Opens or creates the database in `folder`, which exists and belongs to this process.
     * `host` and `options` as for kv_store_ops.open. The error text names the path. */
    int (*open)(const struct kv_host *host, const char *folder,
                const struct kv_option_value *options, struct kv_engine **ret,
                struct kv_error *reterr);
    void (*close)(struct kv_engine *engine); /* accepts NULL */

    /* Reads a row, as of the last commit. */
    enum kv_engine_status (*get)(struct kv_engine *engine, enum kv_engine_table table,
                                 struct kv_slice key, bool may_wait, kv_engine_take_fn take,
                                 void *context);

    /* Both add to the commit to come. A failure shows at the commit. */
    /* `value` comes in parts, which need to live until the call returns only. */
    void (*put)(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key,
                const struct kv_slice *value, size_t n_parts);
    void (*erase)(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key);
    enum kv_engine_status (*commit)(struct kv_engine *engine, bool is_synced);

    /* Makes what was committed before survive a power cut. */
    enum kv_engine_status (*sync)(struct kv_engine *engine);

    /* Walks the rows from `from` on, in byte order of their keys. */
    enum kv_engine_status (*walk)(struct kv_engine *engine, enum kv_engine_table table,
                                  struct kv_slice from, kv_engine_visit_fn visit, void *context);

    /* After a failed commit or sync, now and then until it returns OK: makes the engine fit for
     * commits again. Readers are served meanwhile. */
    enum kv_engine_status (*recover)(struct kv_engine *engine);
};

/* For a lock that every get() of an engine holds, so that the database can be opened anew: who
 * waits for that goes before who comes to read. */
static inline void kv_durable_init_access(pthread_rwlock_t *access)
{
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(access, &attributes);
    pthread_rwlockattr_destroy(&attributes);
}

#endif
