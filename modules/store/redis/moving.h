/*
 * While the slot of a partition is being moved, some of its keys are at one node and some at the
 * other: then nothing is written, and no session can be opened. The other partitions need not wait
 * for this one meanwhile, as its next change will have a larger revision than the clock has now.
 */
#ifndef KV_STORE_REDIS_MOVING_H
#define KV_STORE_REDIS_MOVING_H

#include "shared.h"

/* Passes what the clock says, if all changes have been told, at the node that the store points to,
 * or the one where that sends it. For a partition without a session; may point the store elsewhere.
 */
void moving_pass(struct kv_store *store);

#endif
