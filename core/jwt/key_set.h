/*
 * A set of keys: a JWK Set (RFC 7517), or a single secret. It is immutable, and shared by
 * reference: users hold references, so a newer set can replace it meanwhile.
 */
#ifndef KV_JWT_KEY_SET_H
#define KV_JWT_KEY_SET_H

#include "base/buffer.h"
#include "jwt/key.h"

enum {
    KV_JWT_LONGEST_SET = 256 << 10, /* bytes of its text */
    KV_JWT_MOST_KEYS = 100,         /* a token without `kid` is checked against each */
    KV_JWT_LONGEST_KID = 256        /* bytes */
};

struct kv_jwt_named_key {
    char *kid;           /* NULL: none */
    uint32_t algorithms; /* permitted ones: those of its type, or the one in its `alg` */
    struct kv_jwt_key *key;
};

struct kv_jwt_key_set {
    _Atomic uint32_t n_refs;
    size_t n;
    struct kv_jwt_named_key keys[];
};

/*
 * Reads the JSON text of a JWK Set. Entries with an unknown `kty`, `crv`, `alg`, `use` or
 * `key_ops`, and secrets (`oct`), are left out; private members are ignored. A repeated member, a
 * key that must not be used, and a set without a usable key are errors.
 *
 * notes: gets a line for each entry that has a private member, or is a secret.
 * Owns: the caller, one reference. Errors: -1, with the place of the key in the set, and its `kid`.
 */
int kv_jwt_key_set_parse(struct kv_slice text, struct kv_jwt_key_set **ret_set,
                         struct kv_buffer *notes, struct kv_error *reterr);

/* A set with one secret, without a `kid`. Errors: as kv_jwt_key_from_secret(). */
int kv_jwt_key_set_from_secret(struct kv_slice secret, struct kv_jwt_key_set **ret_set,
                               struct kv_error *reterr);

/* Whether one of its keys has that `kid`. */
bool kv_jwt_key_set_knows(const struct kv_jwt_key_set *set, struct kv_slice kid);

/* Threads: any. */
struct kv_jwt_key_set *kv_jwt_key_set_ref(struct kv_jwt_key_set *set);

/* Accepts NULL. Threads: any. */
void kv_jwt_key_set_unref(struct kv_jwt_key_set *set);

#endif
