/*
 * The end of a loop's turn, as the keyspace's stage: commands go to the store, changes are
 * delivered, finished commands are handed back, and due keys expire. Where sockets bring many
 * commands in one turn, the first three happen for every few dozen of them.
 */
#ifndef KV_KEYSPACE_TURN_H
#define KV_KEYSPACE_TURN_H

#include "keyspace/loop.h"

/* Adds the stage to the loop; before it runs. */
void kv_turn_init(struct kv_keyspace_loop *here);

/* Runs one more turn for a loop that has ended. Returns: whether commands are under way. */
bool kv_turn_finish(struct kv_keyspace_loop *here);

#endif
