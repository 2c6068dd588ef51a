/*
 * Keys that are held (states.h), and their states as the engine has them where memory has not.
 */
#ifndef KV_DURABLE_HELD_H
#define KV_DURABLE_HELD_H

#include "base.h"

/* Reads the state of a held key that is unknown. unknown: what states_hold() returned; its
 * reference is taken over. Returns: the state, with a reference; the same one, still unknown, if
 * *ret_fault is not KV_OK. Threads: any. */
struct entry *held_learn(const struct base *base, struct entry *unknown, enum kv_status *ret_fault);

#endif
