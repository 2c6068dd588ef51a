/*
 * The jobs of a store that wait for Redis. While there is no connection, none waits for longer than
 * the store's timeout. For the thread that talks to Redis.
 */
#ifndef KV_STORE_REDIS_WAITING_H
#define KV_STORE_REDIS_WAITING_H

#include "login.h"

/* The lane that the job is to be sent on. */
struct lane *waiting_lane(struct kv_store *store, const struct job *job);

/* Puts the job behind those that wait, or fails it if there is no memory. */
void waiting_add(struct kv_store *store, struct job *job);

/* Takes what the host has submitted. */
void waiting_take_inbox(struct kv_store *store);

/* Fails those of these jobs that have waited for too long; and those of all lanes. */
void waiting_fail_overdue(struct kv_store *store, struct jobs *jobs);
void waiting_fail_all_overdue(struct kv_store *store);

/* The same for results that wait until their changes have been told. */
void waiting_fail_overdue_held(struct kv_store *store);

/* An attempt to connect that reads page after page begins the next one. The attempt's time begins
 * anew, but not that of the jobs. Returns: -1 and *reterr if the server ends. */
int waiting_begin_page(struct attempt *attempt);

#endif
