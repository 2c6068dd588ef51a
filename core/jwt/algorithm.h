/*
 * The supported signature algorithms of JSON Web Signature (RFC 7518, 8037).
 */
#ifndef KV_JWT_ALGORITHM_H
#define KV_JWT_ALGORITHM_H

#include <kvserver/types.h>

enum kv_jwt_algorithm {
    KV_JWT_HS256 = 0, /* HMAC with SHA-256: verifying needs the signing key */
    KV_JWT_RS256 = 1, /* RSASSA-PKCS1-v1_5 with SHA-256 */
    KV_JWT_PS256 = 2, /* RSASSA-PSS with SHA-256, MGF1 with SHA-256, a salt of 32 bytes */
    KV_JWT_ES256 = 3, /* ECDSA on P-256 with SHA-256, the signature as r || s */
    KV_JWT_EDDSA = 4  /* Ed25519 */
};

enum {
    KV_JWT_N_ALGORITHMS = 5
};

/* A set of algorithms has one bit for each. */
static inline uint32_t kv_jwt_bit(enum kv_jwt_algorithm algorithm)
{
    return 1u << algorithm;
}

/* Finds an algorithm by its registered name, case-sensitively. Returns: false for any other,
 * including `none`. */
bool kv_jwt_algorithm_find(struct kv_slice name, enum kv_jwt_algorithm *ret_algorithm);

const char *kv_jwt_algorithm_name(enum kv_jwt_algorithm algorithm);

#endif
