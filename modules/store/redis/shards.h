/*
 * The types that cluster.h, turns.h and telling.h share: the partitions of a cluster, and what
 * waits in each.
 *
 * Locks: one of the cluster, for the changes that partitions have reported and the results that are
 * held; and one for each loop's turn. None is held while the host or a partition is called, except
 * to put a job into a partition's inbox.
 */
#ifndef KV_STORE_REDIS_SHARDS_H
#define KV_STORE_REDIS_SHARDS_H

#include "nodes.h"

enum {
    LONGEST_LINE = 512
};

/* A change that waits for its turn, or a resync. */
struct pending {
    struct kv_change change;
    bool is_resync;
    bool is_elsewhere;
};

struct queue {
    struct pending *slots;
    size_t first, n, capacity; /* a power of two, or 0 */
};

/* A node has said, on another partition's connection, that a partition has no changes between
 * `newest` and `revision`; but changes up to `newest` are still on their way. */
struct claim {
    uint64_t node; /* 0: there is none */
    uint64_t newest, revision;
};

struct shard {
    struct kv_store_host host; /* the partition's */
    struct cluster *cluster;
    struct kv_store *store;
    struct queue pending;
    _Atomic size_t pending_bytes;
    uint64_t upto; /* changes that come have larger revisions */
    struct claim claim;
    uint64_t asked_for; /* what it was last asked to pass */
    int64_t asked_ms;
    uint64_t last;    /* the last revision in line */
    struct jobs held; /* final; `revision` has to be told before they are given back */
    bool is_well;
    bool has_begun; /* its thread runs */
    char text[LONGEST_LINE];
};

struct turn;

struct cluster {
    const struct kv_store_host *host;
    struct nodes *nodes;
    bool orders_all;
    int64_t timeout_ms;
    pthread_mutex_t lock;
    pthread_cond_t is_work;
    bool has_work, is_closing, has_thread, is_open;
    bool has_news, is_reporting; /* of the partitions' health */
    pthread_t thread;
    int64_t drift_look_ms, drift_log_ms, late_log_ms; /* when it is done next; under the lock */
    char drift_text[LONGEST_LINE]; /* why clocks stop all writes; empty: they do not; the same */
    _Atomic uint64_t n_late;       /* results that were not told in time */
    uint64_t wanted; /* the revision that all partitions have to pass; under the lock */
    uint64_t taken;  /* the last revision out of line: to be told, or told; under the lock */
    _Atomic uint64_t newest; /* the same, from just before it is told on */
    _Atomic uint64_t told;   /* the same, once it has been told */
    uint32_t n_loops, n_shards;
    struct turn *turns;
    struct shard shards[MOST_PARTS];
};

static inline uint32_t shards_part_of(const struct cluster *cluster, struct kv_slice key)
{
    return placement_part_of(&cluster->shards[0].store->placement, key, cluster->n_shards);
}

static inline bool shards_is_write(const struct job *job)
{
    return job->kind == JOB_COMMAND && job->cmd->op != KV_OP_GET && job->cmd->op != KV_OP_CATCH_UP;
}

#endif
