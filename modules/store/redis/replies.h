/*
 * Turns Redis's replies into the results of jobs.
 */
#ifndef KV_STORE_REDIS_REPLIES_H
#define KV_STORE_REDIS_REPLIES_H

#include "shared.h"

enum outcome {
    OUTCOME_FINAL = 1, /* of a command, scan or expiry: it is to be given back */
    OUTCOME_AGAIN,     /* the job has changed and is to be sent again */
    OUTCOME_REFUSED,   /* nothing was executed: it is to be sent again, over a new connection */
    OUTCOME_NONE,      /* of a job of the store's own: nothing is left to do */
    OUTCOME_LOST, /* the chain, the library or the partition is gone: a new connection is needed. A
                     command or scan is final all the same */
};

/* Takes the reply to the job's command. */
enum outcome reply_take(struct kv_store *store, struct job *job, struct kv_slice reply);

/* Ends a job without a reply. */
void reply_fail(struct kv_store *store, struct job *job, enum kv_status status);

#endif
