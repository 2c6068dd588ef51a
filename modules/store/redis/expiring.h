/*
 * Which of the servers takes away the keys that are due: the one whose call did so last calls at
 * the deadline, and the others only if they have been told of no expiry for a while. So servers
 * that share a store do not all ask for each deadline, and if the first one dies, or is late,
 * another one takes its place within tens of milliseconds.
 *
 * Each change names its cause, and all servers are told the changes in one order, so they agree.
 * Redis decides what is due: two calls at the same time do no harm.
 */
#ifndef KV_STORE_REDIS_EXPIRING_H
#define KV_STORE_REDIS_EXPIRING_H

#include "event.h"
#include "shared.h"

/* The host asks for an expiry. Takes the job; one call serves all that wait. */
void expiring_take(struct kv_store *store, const struct job *job);

/* Whether a call is to be made now; then *ret_job is to be sent. */
bool expiring_is_to_call(struct kv_store *store, struct job *ret_job);
/* How long until it may be, in milliseconds. */
int expiring_wait_ms(const struct kv_store *store);

/* The answer to a call: how many keys were due, and the next deadline, of the host's clock.
 * Returns: when to call again. */
int64_t expiring_next_ms(const struct job *job, int64_t n_due, int64_t deadline_ms);

/* A change that is to be told. */
void expiring_note(struct kv_store *store, const struct event *event);

#endif
