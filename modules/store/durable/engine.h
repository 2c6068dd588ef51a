/*
 * What a durable store is built on: an ordered, transactional table of bytes on a disk. The store
 * around it (durable.h) knows commands, revisions, deadlines and readers; an engine knows rows.
 *
 * What an engine promises: rows that were put and erased since the last commit are seen by nobody
 * until kv_engine_ops.commit() makes them all take effect at once, or none of them. After a crash
 * or a power cut it is as one of its commits since the last persist() left it, or that one: which
 * of them, the store learns from a row of its own, and gives it again, from its journal, what is
 * missing. So an engine needs no log.
 *
 * Threads: get() and walk() may be called by many threads at any time; everything else by one
 * thread at a time, the store's writer or its applier, or before and after these live.
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
    KV_ENGINE_FULL,    /* there is no room: on the disk, or in the engine's own limits */
    KV_ENGINE_FAILED,  /* the medium failed; logged by the engine */
};

/* Where a row is looked for. */
enum kv_engine_reach {
    KV_ENGINE_IN_MEMORY, /* get() may not wait for the disk */
    KV_ENGINE_ANYWHERE,
    KV_ENGINE_ON_DISK /* as a power cut would leave it */
};

/* A row found. The bytes are lent for the call. */
typedef void (*kv_engine_take_fn)(void *context, struct kv_slice value);

/* A row met on a walk. The bytes are lent for the call. Returns: whether to go on. */
typedef bool (*kv_engine_visit_fn)(void *context, struct kv_slice key, struct kv_slice value);

/* Puts and commits everything that a persist() may not have brought to the disk. */
typedef enum kv_engine_status (*kv_engine_refill_fn)(void *context);

/* About how much an engine has; 0: not known now. */
struct kv_engine_counts {
    uint64_t keys;
    uint64_t bytes; /* on the disk */
};

struct kv_engine_ops {
    const char *name;    /* of the store, as in the configuration */
    uint32_t max_commit; /* keys that one commit is to change at most */
    size_t max_row;      /* bytes of a key and its value */

    /* Opens or creates the database in `folder`, which exists and belongs to this process.
     * `host` and `options` as for kv_store_ops.open. The error text names the path. */
    int (*open)(const struct kv_host *host, const char *folder,
                const struct kv_option_value *options, struct kv_engine **ret,
                struct kv_error *reterr);
    void (*close)(struct kv_engine *engine); /* accepts NULL */

    /* Opens the database for get(), walk() and close() alone: makes and changes nothing. Returns:
     * 0, or -1 and *reterr; 1 if only open() can tell whether it is whole. */
    int (*open_to_read)(const struct kv_host *host, const char *folder,
                        const struct kv_option_value *options, struct kv_engine **ret,
                        struct kv_error *reterr);

    /* Reads a row, as of the last commit. */
    enum kv_engine_status (*get)(struct kv_engine *engine, enum kv_engine_table table,
                                 struct kv_slice key, enum kv_engine_reach reach,
                                 kv_engine_take_fn take, void *context);

    /* Both add to the commit to come. A failure shows at the commit. */
    void (*put)(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key,
                struct kv_slice value);
    void (*erase)(struct kv_engine *engine, enum kv_engine_table table, struct kv_slice key);
    enum kv_engine_status (*commit)(struct kv_engine *engine);

    /* Makes what was committed before survive a power cut. It may do so by itself at any time. */
    enum kv_engine_status (*persist)(struct kv_engine *engine);

    /* How much it can take besides what it has, and besides what it needs to erase rows. Both are
     * NULL where that is as much as the disk. may_grow: its files may become larger. */
    void (*count_room)(struct kv_engine *engine, bool may_grow);

    /* Whether a record with its deadline fits into what was counted, less what was taken since.
     * old: the value that it takes the place of; NULL: none. is_taken: it is to be written. */
    bool (*has_room)(struct kv_engine *engine, size_t key_len, size_t value_len,
                     const struct kv_slice *old, bool is_taken);
    const char *room_option; /* which one sets the limit; NULL without it */

    /* Keys that one commit is to change at most as things are; NULL: max_commit. */
    uint32_t (*commit_limit)(struct kv_engine *engine);

    /* Walks the rows from `from` on, in byte order of their keys, as of the last commit. */
    enum kv_engine_status (*walk)(struct kv_engine *engine, enum kv_engine_table table,
                                  struct kv_slice from, kv_engine_visit_fn visit, void *context);

    /* After a failed commit or persist(), now and then until it returns OK: makes the engine fit
     * for commits again; what refill() brings has been taken, so it is to fit whatever limit the
     * engine has. If it loses what it had not on the disk, refill() brings that back before
     * anybody reads. Readers are served meanwhile, or wait. */
    enum kv_engine_status (*recover)(struct kv_engine *engine, kv_engine_refill_fn refill,
                                     void *context);

    /* Threads: any; waits for nothing. NULL: nothing is known. */
    void (*count)(struct kv_engine *engine, struct kv_engine_counts *ret);
};

static inline uint32_t kv_engine_commit_limit(const struct kv_engine_ops *ops,
                                              struct kv_engine *engine)
{
    return ops->commit_limit == NULL ? ops->max_commit : ops->commit_limit(engine);
}

/* For a lock that every get() and walk() of an engine holds, so that the database can be opened
 * anew: a thread that waits for that goes before threads that come to read. */
static inline void kv_durable_init_access(pthread_rwlock_t *access)
{
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(access, &attributes);
    pthread_rwlockattr_destroy(&attributes);
}

#endif
