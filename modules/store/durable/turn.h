/*
 * A batch and the jobs that wait for it; also returns the jobs to the host when it is done.
 *
 * Threads: the writer's.
 */
#ifndef KV_DURABLE_TURN_H
#define KV_DURABLE_TURN_H

#include "batch.h"
#include "queue.h"

struct turn {
    struct batch batch;
    uint64_t sequence; /* of the journal's record with its changes */
    struct job *first; /* in order */
    struct job **end;
    struct job *expiries;
};

void turn_init(struct turn *turn, const struct batch *empty);

bool turn_is_empty(const struct turn *turn);

void turn_add_commands(struct turn *turn, struct job *job);
void turn_add_expiry(struct turn *turn, struct job *job);

/* Returns: its jobs of commands, in order; ownership passes to the caller. */
struct job *turn_take_commands(struct turn *turn);
struct job *turn_take_expiries(struct turn *turn);

/* Returns the commands of the jobs to the host, and frees the jobs: a loop is called once for many,
 * as each call may have to wake it. */
void turn_give_back(const struct kv_store_host *host, struct job *jobs);

#endif
