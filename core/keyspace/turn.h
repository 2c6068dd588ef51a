/*
 * The end of a loop's turn, as the keyspace's stage: commands go to the store, changes are
 * delivered, finished commands are handed back, and due keys expire.
 */
#ifndef KV_KEYSPACE_TURN_H
#define KV_KEYSPACE_TURN_H

#include "keyspace/loop.h"

/* Adds the stage to the loop; before it runs. */
void kv_turn_init(struct kv_keyspace_loop *here);

/* Runs turns on a loop that has ended, until no command is under way. What the store's threads
 * still have comes back meanwhile. */
void kv_turn_finish(struct kv_keyspace_loop *here);

#endif
