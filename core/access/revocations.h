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

/* Notes a change: that a key with that prefix exists, or no longer exists. */
void kv_revocations_note(struct kv_revocations *revocations, struct kv_slice key, bool is_there);

/* The keys of the store are about to be read, at the start and whenever changes of them may have
 * been missed; changes may be noted meanwhile. May be called again before the end. */
void kv_revocations_begin(struct kv_revocations *revocations);

/* Notes a key that has been read. A change that was noted since the beginning is newer. */
void kv_revocations_read(struct kv_revocations *revocations, struct kv_slice key);

/* All keys of the store have been read: forgets those that were not noted since the beginning, and
 * the revocations are known. Returns: whether so many keys were removed meanwhile that some may
 * have been read after that, from an older page: then the keys should be read again. */
bool kv_revocations_end(struct kv_revocations *revocations);

/* Changes may have been missed. Until the keys have been read again, it is not known which tokens
 * are revoked. */
void kv_revocations_lose(struct kv_revocations *revocations);

/* Whether they have been read. */
bool kv_revocations_are_known(const struct kv_revocations *revocations);
/* Whether they have been lost since they were read. */
bool kv_revocations_are_lost(const struct kv_revocations *revocations);

/* Whether a token is revoked. id: its `jti`, empty for none; subject: may be empty. */
bool kv_revocations_have(struct kv_revocations *revocations, struct kv_slice id,
                         struct kv_slice issuer, struct kv_slice subject);

#endif
