/*
 * The turns of the loops. With `order: all`, a loop writes to one partition at a time, and each
 * write gets a larger revision than those before it, so that all take effect in the order
 * submitted.
 */
#ifndef KV_STORE_REDIS_TURNS_H
#define KV_STORE_REDIS_TURNS_H

#include "shards.h"

/* One for each loop. Returns: NULL where there is no memory. */
struct turn *turns_create(uint32_t n_loops);
void turns_destroy(struct turn *turns, uint32_t n_loops);

/* Within submit(). Submits a command to its partition, now or when its turn has come. It fails if
 * there is no memory to submit it, or to let it wait. */
void turns_submit(const struct cluster *cluster, const struct job *job);

/* A write of the loop has been executed: submits those behind it whose turn it is. revision: what
 * it was answered with. */
void turns_go_on(struct cluster *cluster, uint32_t loop, uint64_t revision);

#endif
