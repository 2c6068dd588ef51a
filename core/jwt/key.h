/*
 * A key that verifies signatures. Its type determines the algorithms that it can be used with, so a
 * token cannot cause a public key to be used as a secret.
 */
#ifndef KV_JWT_KEY_H
#define KV_JWT_KEY_H

#include "jwt/algorithm.h"

enum {
    KV_JWT_SHORTEST_SECRET = 32, /* bytes; RFC 7518, section 3.2 */
    KV_JWT_LEAST_RSA_BITS = 2048,
    KV_JWT_MOST_RSA_BITS = 8192, /* longer keys take milliseconds for each signature */
    KV_JWT_LONGEST_SIGNATURE = KV_JWT_MOST_RSA_BITS / 8
};

/* Immutable. Threads: any may verify with it. */
struct kv_jwt_key;

/* A secret for HS256. Owns: the caller, by kv_jwt_key_destroy().
 * Errors: -1, if it is too short. */
int kv_jwt_key_from_secret(struct kv_slice secret, struct kv_jwt_key **ret_key,
                           struct kv_error *reterr);

/* A public key from its raw bytes, big-endian. Errors: -1, if it must not be used: an RSA modulus
 * that is too short or too long or an unsuitable exponent, or a point that is not on P-256. Owns:
 * the caller. */
int kv_jwt_key_from_rsa(struct kv_slice modulus, struct kv_slice exponent,
                        struct kv_jwt_key **ret_key, struct kv_error *reterr);
int kv_jwt_key_from_p256(struct kv_slice x, struct kv_slice y, struct kv_jwt_key **ret_key,
                         struct kv_error *reterr);
int kv_jwt_key_from_ed25519(struct kv_slice x, struct kv_jwt_key **ret_key,
                            struct kv_error *reterr);

/* Accepts NULL. */
void kv_jwt_key_destroy(struct kv_jwt_key *key);

/* The set of algorithms that its type can be used with. */
uint32_t kv_jwt_key_algorithms(const struct kv_jwt_key *key);

/* Whether the signature was made with that key and algorithm, over the text. Returns: false also if
 * the key cannot be used with the algorithm, or memory runs out. */
bool kv_jwt_key_verify(const struct kv_jwt_key *key, enum kv_jwt_algorithm algorithm,
                       struct kv_slice text, struct kv_slice signature);

#endif
