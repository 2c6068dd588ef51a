/*
 * Revocations: which tokens of issuers are no longer believed, although they have not expired. They
 * are keys of the store under a prefix of their own: `jti/<jti>` for one token, and
 * `sub/<issuer>/<sub>` for all of a subject. Of each key its keyed hash is kept.
 *
 * Threads: any.
 */
#ifndef KV_ACCESS_REVOCATIONS_H
#define KV_ACCESS_REVOCATIONS_H

#include <kvserver/types.h>

struct kv_revocations;

/* prefix: copied; not empty. Nothing is revoked, and nothing is known, until the store has been
 * read. Owns: the caller. */
struct kv_revocations *kv_revocations_create(struct kv_slice prefix);
/* Accepts NULL. */
void kv_revocations_destroy(struct kv_revocations *revocations);

/* Of the keys. Lent. */
struct kv_slice kv_revocations_prefix(const struct kv_revocations *revocations);

/* A key of that prefix is there, or is not. */
void kv_revocations_note(struct kv_revocations *revocations, struct kv_slice key, bool is_there);

/* All that the store had has been noted. */
void kv_revocations_set_known(struct kv_revocations *revocations);
bool kv_revocations_are_known(const struct kv_revocations *revocations);

/* Whether a token is revoked. id: its `jti`, empty for none; subject: may be empty. */
bool kv_revocations_have(struct kv_revocations *revocations, struct kv_slice id,
                         struct kv_slice issuer, struct kv_slice subject);

#endif
