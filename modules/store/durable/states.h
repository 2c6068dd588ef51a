/*
 * The published states: for each key what a reader is to see. The engine holds them all; in memory
 * are those that were used lately (a cache, by the second-chance clock), and, always, those that
 * the engine lacks (of a later record of the journal than was applied), and those of the keys that
 * a batch under way may replace. So a reader looks here first, and sees the state from before the
 * batch until the writer publishes the next one, even where the engine has it already.
 *
 * A reader that finds nothing here reads the engine, and has then to settle what it read: if a
 * batch got hold of a key of this shard meanwhile (its generation has moved on), the engine may
 * have shown a state that is not published yet, and the reader looks again.
 *
 * Expiry. A reader judges the deadline by the clock under the shard's lock, the writer after it
 * got hold of the key. So where the writer, by an earlier look at the clock, is about to keep a key
 * that has meanwhile passed its deadline, the reader finds it held and waits for the writer.
 *
 * Threads: any; a lock for each shard, held for a look-up, never together with another.
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
    GLANCE_MISSING, /* the key is not there, or has expired */
    GLANCE_HELD,    /* only the writer can tell */
    GLANCE_UNKNOWN, /* to be read from the engine, then settled */
    GLANCE_STALE,   /* states_settle(): look again */
};

enum glance states_look(struct states *states, struct kv_slice key, uint64_t hash,
                        struct entry **ret, uint64_t *ret_generation);

/* What the engine had: `found` (taken over), or NULL where it had nothing. */
enum glance states_settle(struct states *states, uint64_t hash, uint64_t generation,
                          struct entry *found, struct entry **ret);

/* ---- those who hold keys: the writer, and the stager ---- */

/* Gets hold of a key: its published state stays in memory until the matching states_let_go().
 * Returns: the state, which may be unknown (then states_learn() follows); NULL if memory runs out.
 * Owns: the caller, one reference. */
struct entry *states_hold(struct states *states, struct kv_slice key, uint64_t hash,
                          bool *ret_is_unknown);

/* The held key's state as the engine has it (NULL: it has nothing) takes the place of the unknown
 * one, unless another who holds the key was earlier. Both references are taken over. Returns: the
 * state in its place. Owns: the caller, one reference. */
struct entry *states_learn(struct states *states, struct entry *unknown, struct entry *known);

/* held: any of the key's states. */
void states_let_go(struct states *states, struct entry *held);

/* ---- the writer ---- */

/* The held key's next state takes the place of `published`. */
void states_publish(struct states *states, struct entry *published, struct entry *next);

/* ---- the applier ---- */

/* The engine has the states of the journal's records up to this one: what was kept for their sake
 * only goes. */
void states_applied(struct states *states, uint64_t sequence);

#endif
