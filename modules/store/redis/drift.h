/*
 * How far the clocks of a cluster's masters are apart. Revisions follow these clocks, and a change
 * is told when all partitions have passed its revision; so everything waits for as long as they are
 * apart.
 */
#ifndef KV_STORE_REDIS_DRIFT_H
#define KV_STORE_REDIS_DRIFT_H

#include "shards.h"

struct drift {
    int64_t apart_ms;       /* at least; 0: perhaps not at all */
    uint32_t ahead, behind; /* partitions */
};

/* Threads: any. */
void drift_measure(const struct cluster *cluster, struct drift *ret);

/* For people. */
void drift_describe(const struct cluster *cluster, const struct drift *drift,
                    char text[LONGEST_LINE]);

/* Looks, if it is time to: logs clocks that slow down all writes, and notes in the cluster if they
 * stop them. Returns: whether that note has changed. Threads: any, without the lock. */
bool drift_watch(struct cluster *cluster);

#endif
