/*
 * Whether a partition of a cluster has all of its keys. While its slot is being moved, keys are at
 * one master only, in part the source, in part the target. If one of the two is lost, so are the
 * keys that its replica lacks. The newest revision and the log may be at the other one: then the
 * chain is whole, and does not show the loss. So the keys are compared with the index and the log.
 * Missing keys are removed from the index, and the log gets an entry after which all servers let
 * their subscribers start over. Redis keeps a note while this goes on, which the server renews:
 * others leave it alone, and if it dies, another one ends it.
 */
#ifndef KV_STORE_REDIS_WHOLE_H
#define KV_STORE_REDIS_WHOLE_H

#include "login.h"

/* Of the partition that the attempt is connected to, before its chain is continued; no other master
 * has keys of it (split.h). Does nothing without a cluster, while the slot is being moved, and
 * while another server mends. Needs the attempt's begin_page: if it compares the keys one by one,
 * the attempt's time begins anew behind that. Returns: -1 and *reterr. */
int whole_make(struct attempt *attempt);

/* The keys may be at two masters: they are to be looked at when they are together again. */
void whole_doubt(struct kv_store *store);

/* While the partition is connected. Returns: whether it is time to look again, and the last look
 * has been answered: then *ret_job is to be sent. */
bool whole_is_to_check(struct kv_store *store, struct job *ret_job);

void whole_write_check(const struct kv_store *store, struct buffer *out);

/* Takes the answer, which may be an error. Returns: false if keys may be missing: then it takes a
 * new connection to mend that. */
bool whole_take_check(struct kv_store *store, const struct resp_value *answer,
                      struct kv_slice reply);

#endif
