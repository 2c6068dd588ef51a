/*
 * Quanta: the shares of connections in the turns of a loop. In a turn, a connection's messages are
 * taken and answered until its quantum is used up. The more of the turn is used, the smaller the
 * quanta, but each connection gets at least the least one, so a connection with few requests is
 * served in the turn in which its input arrives. Connections with more input wait in a queue for
 * the next turn.
 *
 * Costs are bytes of input and answers, and a fixed amount for each message. A message is never
 * split: costs beyond the quantum are owed.
 *
 * Threads: all of it belongs to a loop.
 */
#ifndef KV_NET_QUANTUM_H
#define KV_NET_QUANTUM_H

#include <stdint.h>

#include "base/list.h"

enum {
    KV_QUANTUM_MESSAGE = 1024, /* the cost of a message besides its bytes */
    KV_QUANTUM_LEAST = 16 << 10,
    KV_QUANTUM_MOST = 256 << 10,
};

/* The quanta of one loop and protocol. */
struct kv_quanta {
    size_t used; /* in this turn */
    struct kv_list waiting;
};

/* The quantum of a connection. */
struct kv_quantum {
    struct kv_list in_waiting;
    int64_t left; /* below zero: owed */
};

void kv_quanta_init(struct kv_quanta *quanta);
void kv_quantum_init(struct kv_quantum *quantum);

/* Removes the connection from the queue. */
static inline void kv_quantum_fini(struct kv_quantum *quantum)
{
    kv_list_remove(&quantum->in_waiting);
}

/* Grants a quantum for the turn. */
void kv_quantum_grant(struct kv_quantum *quantum, const struct kv_quanta *quanta);

static inline bool kv_quantum_is_used_up(const struct kv_quantum *quantum)
{
    return quantum->left <= 0;
}

/* Charges a message or an answer with this many bytes. */
static inline void kv_quantum_charge(struct kv_quantum *quantum, struct kv_quanta *quanta,
                                     size_t bytes)
{
    size_t cost = bytes < KV_QUANTUM_MOST ? bytes : KV_QUANTUM_MOST;
    quantum->left -= (int64_t)cost;
    quanta->used += cost;
}

/* Waits for another turn, at the end of the queue. */
void kv_quantum_wait(struct kv_quantum *quantum, struct kv_quanta *quanta);

static inline bool kv_quanta_are_waited_for(const struct kv_quanta *quanta)
{
    return !kv_list_is_empty(&quanta->waiting);
}

/* Ends the turn: waiting connections get their quanta, in order, as far as the turn has room.
 * `serve` may have its quantum wait again, and may free it. */
void kv_quanta_end_turn(struct kv_quanta *quanta, void (*serve)(struct kv_quantum *quantum));

#endif
