/*
 * The chain of changes: each change names the revision before it. A pushed change continues the
 * chain or reveals a gap, which is filled from the log. Each change is told to the host once, in
 * order.
 */
#ifndef KV_STORE_REDIS_CHAIN_H
#define KV_STORE_REDIS_CHAIN_H

#include "event.h"
#include "shared.h"

/* Why events were not taken. */
enum {
    CHAIN_NOT_NOW = -1, /* there is no memory, or a long value cannot be read */
    CHAIN_BROKEN = -2,  /* they cannot be read, or one does not continue the chain */
};

/* Takes the events of a push. Events told before are skipped. Those of commands that another node
 * of a Redis Cluster has executed are dropped: a master that was replaced while it hung executes
 * what it still has when it goes on, and its pushes reach the subscribers of its successor. These
 * changes are lost, yet may continue the chain.
 * Returns: 0, or why an event and those behind it were not taken. */
int chain_take(struct kv_store *store, struct kv_slice events);

/* Takes the events of an entry of the log, which may have come there from another node. If its
 * events do not continue the chain, the changes before them are gone, and the host is told so.
 * Returns: the same. */
int chain_take_logged(struct kv_store *store, struct kv_slice events);

/* Makes the change of an event, and passes it on. A long value is read from Redis; where it has
 * been replaced since, nothing is passed on, as the later change follows. Returns: -1 where there
 * is no memory, or the value cannot be read. */
int chain_make_change(struct kv_store *store, struct event *event,
                      void (*pass_on)(struct kv_store *store, const struct event *event,
                                      const struct kv_change *change));

/* Continues at that revision: the changes in between cannot be told. */
void chain_jump(struct kv_store *store, uint64_t revision);

/* Begins the chain at that revision, which itself is not told to the host. */
void chain_begin(struct kv_store *store, uint64_t revision);

/* All changes up to then have been taken: later ones have revisions from that time of Redis's clock
 * on. */
void chain_pass(struct kv_store *store, int64_t us);

#endif
