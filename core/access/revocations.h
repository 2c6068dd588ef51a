/*
 * Revoked tokens of issuers: they are refused although they have not expired. Keys of the store
 * revoke them, under a prefix of their own: `jti/<jti>` revokes one token, and `sub/<issuer>/<sub>`
 * all tokens of a subject. Only a keyed hash of each key is kept in memory.
 *
 * Threads: any.
 */
#ifndef KV_ACCESS_REVOCATIONS_H
#define KV_ACCESS_REVOCATIONS_H

#include <kvserver/types.h>

struct kv_revocations;

/* prefix: copied; not empty. No token is revoked until keys have been noted. Owns: the caller. */
struct kv_revocations *kv_revocations_create(struct kv_slice prefix);
/* Accepts NULL. */
void kv_revocations_destroy(struct kv_revocations *revocations);

/* The prefix of the keys. Lent. */
struct kv_slice kv_revocations_prefix(const struct kv_revocations *revocations);

/* Notes that a key with that prefix exists, or no longer exists. */
void kv_revocations_note(struct kv_revocations *revocations, struct kv_slice key, bool is_there);

/* Call once all keys that the store had when it was opened have been noted. */
void kv_revocations_set_known(struct kv_revocations *revocations);
bool kv_revocations_are_known(const struct kv_revocations *revocations);

/* Whether a token is revoked. id: its `jti`, empty for none; subject: may be empty. */
bool kv_revocations_have(struct kv_revocations *revocations, struct kv_slice id,
                         struct kv_slice issuer, struct kv_slice subject);

#endif
