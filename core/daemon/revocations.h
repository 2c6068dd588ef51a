/*
 * Feeds the keys under `access.revoked` to the revocations of core/access: all of them when the
 * store has opened, before the keyspace is ready, and then each change. If the store may have
 * missed changes, all keys are read again; until then no token of an issuer is accepted anew, and
 * if that takes longer than a second, open connections with such tokens are closed.
 */
#ifndef KV_DAEMON_REVOCATIONS_H
#define KV_DAEMON_REVOCATIONS_H

#include "access/revocations.h"
#include "keyspace/keyspace.h"

struct kv_revoking;

/* told: called for the first change after each kv_revoking_take(); threads: any.
 * Owns: the caller, until the keyspace has ended. */
struct kv_revoking *kv_revoking_create(struct kv_slice prefix, void (*told)(void));
/* Accepts NULL. */
void kv_revoking_destroy(struct kv_revoking *revoking);

/* Lent. Accepts NULL, and then returns NULL. */
struct kv_revocations *kv_revoking_revocations(struct kv_revoking *revoking);

/* For the keyspace. Lent. */
struct kv_observer *kv_revoking_observer(struct kv_revoking *revoking);
struct kv_loader *kv_revoking_loader(struct kv_revoking *revoking);

/* Call when the keyspace is ready. Accepts NULL. */
void kv_revoking_begin(struct kv_revoking *revoking, const struct kv_keyspace *keyspace);

/* Acknowledges all changes so far: call before reading them. Accepts NULL. */
void kv_revoking_take(struct kv_revoking *revoking);

#endif
