/*
 * The engine, shared by the files of this folder.
 */
#ifndef KV_LMDB_ENGINE_H
#define KV_LMDB_ENGINE_H

#include <pthread.h>

#include <lmdb.h>

#include "../durable/engine.h"

enum {
    MOST_KEY = 511, /* MDB_MAXKEYSIZE of Debian's library */
    HASH_BYTES = 16,
    PREFIX_BYTES = MOST_KEY - HASH_BYTES - 1, /* of a long key; also the longest short one */
    LENGTH_BYTES = 8,                         /* of a long key, before the key in its row */
    KEY_MARK = 'k'                            /* ahead of every key of a record */
};

/* The remaining room for rows. */
struct lmdb_room {
    uint64_t bytes;
    size_t n_fresh; /* pages beyond the file's end */
    size_t *runs;   /* lengths of the runs of free pages, sorted */
    size_t n_runs;
    bool may_grow; /* the file */
};

struct kv_engine {
    const struct kv_host *host;
    char *folder;
    size_t map_size; /* as configured */
    size_t grown;    /* further bytes for the file, as accepted rows did not fit */
    size_t page_size;
    bool is_map_full; /* the last commit failed for that reason */
    bool is_only_read;
    uint64_t seed; /* of the hashes of long keys: kept in the file */

    pthread_rwlock_t access; /* for the two below, which only recover() writes */
    MDB_env *env;            /* NULL: it could not be reopened */
    MDB_dbi tables[KV_ENGINE_N_TABLES];
    MDB_dbi order; /* of the long keys: order.h */

    struct lmdb_room room;

    /* the writer's */
    MDB_txn *batch; /* NULL: nothing put or erased yet */
    int fault;      /* the first of the batch */
};

#endif
