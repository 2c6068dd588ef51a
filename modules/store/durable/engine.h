/*
 * The base of a durable store: an ordered, transactional table of bytes on a disk. The store around
 * it (durable.h) knows commands, revisions, deadlines and readers; an engine knows rows.
 *
 * Guarantees of an engine: rows put and erased since the last commit are invisible until
 * kv_engine_ops.commit() makes them take effect, all or none. After a crash or a power cut, it has
 * the state of the last persist(), or of a later commit. The store learns from a row of its own
 * which one, and redoes the missing changes from its journal. So an engine needs no log.
 *
 * Threads: get() and walk() may be called by many threads at any time; everything else by one
 * thread at a time: the store's writer or its applier, or another thread before these start or
 * after they have ended.
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
    KV_ENGINE_WAITING, /* get() from memory: the answer may be on the disk */
    KV_ENGINE_FULL,    /* no room: on the disk, or within the engine's own limits */
    KV_ENGINE_FAILED,  /* the medium failed; logged by the engine */
};

/* Where to look for a row. */
enum kv_engine_reach {
    KV_ENGINE_IN_MEMORY, /* get() may not wait for the disk */
    KV_ENGINE_ANYWHERE,
    KV_ENGINE_ON_DISK /* as after a power cut */
};

/* A row found. The bytes are lent for the call. */
typedef void (*kv_engine_take_fn)(void *context, struct kv_slice value);

/* A row met on a walk. The bytes are lent for the call. Returns: whether to go on. */
typedef bool (*kv_engine_visit_fn)(void *context, struct kv_slice key, struct kv_slice value);

/* Puts and commits all changes that may not have been persisted. */
typedef enum kv_engine_status (*kv_engine_refill_fn)(void *context);

/* Approximate size of an engine's data; 0: unknown at present. */
struct kv_engine_counts {
    uint64_t keys;
    uint64_t bytes; /* on the disk */
};

struct kv_engine_ops {
    const char *name;    /* of the store, as in the configuration */
    uint32_t max_commit; /* most keys changed by one commit */
    size_t max_row;      /* bytes of a key and its value */

    /* Opens or creates the database in `folder`, which exists and belongs to this process.
     * `host` and `options` as for kv_store_ops.open. The error text names the path. */
    int (*open)(const struct kv_host *host, const char *folder,
                const struct kv_option_value *options, struct kv_engine **ret,
                struct kv_error *reterr);
    void (*close)(struct kv_engine *engine); /* accepts NULL */

    /* Opens the database only for get(), walk() and close(); creates and changes nothing. Returns:
     * 0, or -1 and *reterr; 1 if only open() can tell whether the database is intact. */
    int (*open_to_read)(const struct kv_host *host, const char *folder,
                        const struct kv_option_value *options, struct kv_engine **ret,
                        struct kv_error *reterr);

    /* Reads a row, as of the last commit. */
    enum kv_engine_status (*get)(struct kv_engine *engine, enum kv_engine_table table,
                                 struct kv_slice key, enum kv_engine_reach reach,
                                 kv_engine_take_fn take, void *context);

    /* Both add to the next commit, which reports their failures. */
    void (*put)(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key,
                struct kv_slice value);
    void (*erase)(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key);
    enum kv_engine_status (*commit)(struct kv_engine *engine);

    /* Makes earlier commits survive a power cut. An engine may also do so by itself at any time. */
    enum kv_engine_status (*persist)(struct kv_engine *engine);

    /* Counts the room for further rows, less the room needed to erase rows. Both functions are NULL
     * if only the disk limits the engine. may_grow: the engine's files may become larger. */
    void (*count_room)(struct kv_engine *engine, bool may_grow);

    /* Whether a record with its deadline fits into the counted room, less the room taken since.
     * old: the value that it replaces; NULL: none. is_taken: it will be written. */
    bool (*has_room)(struct kv_engine *engine, size_t key_len, size_t value_len,
                     const struct kv_slice *old, bool is_taken);
    const char *room_option; /* the option that sets the limit; NULL: none */

    /* The current limit of keys changed by one commit; NULL: max_commit. */
    uint32_t (*commit_limit)(struct kv_engine *engine);

    /* Walks the rows from `from` on, in byte order of their keys, as of the last commit. */
    enum kv_engine_status (*walk)(struct kv_engine *engine, enum kv_engine_table table,
                                  struct kv_slice from, kv_engine_visit_fn visit, void *context);

    /* Called after a failed commit or persist(), repeatedly until it returns OK: makes the engine
     * ready for commits again. refill() brings changes that were already accepted, so they must fit
     * whatever limit the engine has. If unpersisted data is lost, refill() restores it before
     * anybody reads. Readers are served meanwhile, or wait. */
    enum kv_engine_status (*recover)(struct kv_engine *engine, kv_engine_refill_fn refill,
                                     void *context);

    /* Threads: any; never blocks. NULL: nothing is known. */
    void (*count)(struct kv_engine *engine, struct kv_engine_counts *ret);
};

static inline uint32_t kv_engine_commit_limit(const struct kv_engine_ops *ops,
                                              struct kv_engine *engine)
{
    return ops->commit_limit == NULL ? ops->max_commit : ops->commit_limit(engine);
}

/* For a lock that every get() and walk() of an engine holds, so that the database can be reopened:
 * a waiting writer goes before later readers. */
static inline void kv_durable_init_access(pthread_rwlock_t *access)
{
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(access, &attributes);
    pthread_rwlockattr_destroy(&attributes);
}

#endif
