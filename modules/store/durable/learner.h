/*
 * A thread that reads the state of a key to be touched if it is not in memory. The state may be
 * long, and other writes must not wait until it has been read. Touches of long values are passed to
 * the stager (stager.h), all other commands to the writer.
 */
#ifndef KV_DURABLE_LEARNER_H
#define KV_DURABLE_LEARNER_H

#include "stager.h"

struct learner {
    const struct base *base;
    struct stager *stager;
    struct queue jobs;
    struct under_way under_way;
    struct thread thread;
};

/* stager: lives longer than the thread. */
void learner_init(struct learner *learner, const struct base *base, struct stager *stager);
void learner_fini(struct learner *learner);

/* Returns: an error number, or 0. */
int learner_start(struct learner *learner);
/* Ends the thread after it has passed on everything. */
void learner_stop(struct learner *learner);

/* Whether a write of a key with this hash has to be pushed here, before the stager is asked.
 * Threads: loops. */
bool learner_has(struct learner *learner, uint64_t hash);
/* Threads: loops. */
void learner_push(struct learner *learner, struct job *job);

#endif
