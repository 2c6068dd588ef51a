/*
 * The published states: for each key, the state that readers see. The engine holds them all. In
 * memory are recently used ones (a cache with the second-chance clock) and, always, those that the
 * engine lacks (from records of the journal that are not yet applied) and those of keys that a
 * batch in progress may replace. So a reader looks here first, and sees the state before the batch
 * until the writer publishes the next one, even if the engine already has it.
 *
 * A reader that finds nothing here reads the engine, and must then settle the result: if a batch
 * has held a key of this shard meanwhile (the shard's generation has changed), the engine may have
 * returned a state that is not yet published, and the reader looks again.
 *
 * Expiry. A reader compares the deadline with the clock under the shard's lock, the writer after it
 * has held the key. So if the writer has read the clock earlier and is about to keep a key whose
 * deadline has passed since, the reader finds the key held and waits for the writer.
 *
 * Threads: any. Each shard has a lock, held for one look-up, and never together with another.
 */
#ifndef KV_DURABLE_STATES_H
#define KV_DURABLE_STATES_H

#include "entry.h"

struct states;

/* max_bytes: of states that no batch holds. Returns: NULL if memory runs out. */
struct states *states_create(const struct kv_host *host, size_t max_bytes);
void states_destroy(struct states *states);

/* ---- readers ---- */

enum glance {
    GLANCE_FOUND,   /* *ret has a reference */
    GLANCE_MISSING, /* the key is missing or has expired */
    GLANCE_HELD,    /* only the writer can tell */
    GLANCE_UNKNOWN, /* to be read from the engine, then settled */
    GLANCE_STALE,   /* states_settle(): look again */
};

enum glance states_look(struct states *states, struct kv_slice key, uint64_t hash,
                        struct entry **ret, uint64_t *ret_generation);

/* Settles the engine's result: `found`, whose reference is passed on, or NULL: the engine had
 * nothing. */
enum glance states_settle(struct states *states, uint64_t hash, uint64_t generation,
                          struct entry *found, struct entry **ret);

/* ---- holders of keys: the writer and the stager ---- */

/* Holds a key: its published state stays in memory until the matching states_let_go(). Returns: the
 * state, which may be unknown (then states_learn() follows); NULL if memory runs out. Owns: the
 * caller, one reference. */
struct entry *states_hold(struct states *states, struct kv_slice key, uint64_t hash,
                          bool *ret_is_unknown);

/* Replaces the held key's unknown state by the engine's (NULL: it has none), unless another holder
 * of the key was earlier. Takes ownership of both references. Returns: the key's state. Owns: the
 * caller, one reference. */
struct entry *states_learn(struct states *states, struct entry *unknown, struct entry *known);

/* held: any of the key's states. */
void states_let_go(struct states *states, struct entry *held);

/* ---- the writer ---- */

/* Replaces `published`, the state of a held key, by its next state. */
void states_publish(struct states *states, struct entry *published, struct entry *next);

/* ---- the applier ---- */

/* The engine has the states of the journal's records up to this one: those that were kept only for
 * that are released. */
void states_applied(struct states *states, uint64_t sequence);

#endif
