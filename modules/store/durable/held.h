/*
 * Held keys (states.h), and their states, read from the engine if they are not in memory.
 */
#ifndef KV_DURABLE_HELD_H
#define KV_DURABLE_HELD_H

#include "base.h"

/* Reads the state of a held key that is unknown. unknown: the result of states_hold(), whose
 * reference is passed on. Returns: the state, with a reference; the same one, still unknown, if
 * *ret_fault is not KV_OK. Threads: any. */
struct entry *held_learn(const struct base *base, struct entry *unknown, enum kv_status *ret_fault);

#endif
