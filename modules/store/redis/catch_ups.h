/*
 * The catch-ups of a partition (catching_up.h divides those of a cluster): each needs the newest
 * revision at Redis, asked for after it has arrived, and is given back when the changes up to there
 * have been told. Those that arrive while a request is under way share the next one, which is a
 * command of the store's own.
 */
#ifndef KV_STORE_REDIS_CATCH_UPS_H
#define KV_STORE_REDIS_CATCH_UPS_H

#include "shared.h"

/* Takes a catch-up of the host. Returns: false if there is no memory. */
bool catch_ups_take(struct kv_store *store, const struct job *job);

/* Whether a request is to be sent; then it is *ret_request. */
bool catch_ups_are_to_ask(struct kv_store *store, struct job *ret_request);

bool catch_ups_is_request(const struct kv_store *store, const struct job *job);

/* The request is final: takes the next of those that have shared it, with its result. Returns:
 * false if there is none. */
bool catch_ups_share(struct kv_store *store, const struct job *request, struct job *ret_job);

/* The connection is lost, and the request with it: those that have shared it wait for the next one,
 * each for its own time. Returns: false if there is no memory: then the request has to be ended. */
bool catch_ups_take_back(struct kv_store *store);

void catch_ups_clear(struct kv_store *store);

#endif
