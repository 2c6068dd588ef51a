/*
 * Commands and scans on their way back to the host. They are collected, as the host takes those of
 * a loop together. A result that shows a change is held until its subscribers have been told of it.
 */
#ifndef KV_STORE_REDIS_ANSWERS_H
#define KV_STORE_REDIS_ANSWERS_H

#include "shared.h"

/* Gives the host all that was collected. */
void answers_flush(struct kv_store *store);

/* Ends a job without a result. */
void answers_fail(struct kv_store *store, struct job *job, enum kv_status status);

/* A client must have been told of a change before it is shown its result. */
void answers_give_back_in_time(struct kv_store *store, const struct job *job);

/* Changes have been told: gives back the results that waited for them. */
void answers_release_held(struct kv_store *store);

/* Releases the result of a command or scan that must not be shown. */
void answers_drop_result(struct job *job);

#endif
