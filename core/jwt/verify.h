/*
 * Verifies tokens: the signature by the keys of the issuer, and the claims.
 */
#ifndef KV_JWT_VERIFY_H
#define KV_JWT_VERIFY_H

#include "jwt/key_set.h"
#include "jwt/token.h"

enum {
    KV_JWT_LEEWAY_S = 30 /* allowance for clocks that differ */
};

/* The requirements for tokens of one issuer. */
struct kv_jwt_policy {
    struct kv_slice issuer;   /* `iss`, exactly */
    struct kv_slice audience; /* one of `aud`; empty: the token must have none (RFC 7519, 4.1.3) */
    uint32_t algorithms;      /* permitted ones; a key's own set is a further limit */
};

/*
 * Verifies a token. If it has a `kid`, only keys with that `kid` are tried, otherwise all. now_s:
 * seconds since 1970. Returns: KV_JWT_GOOD; or the first fault: the issuer, the algorithm, the key,
 * the signature, and only then the claims. Threads: any; it may take a millisecond for each key
 * tried.
 */
enum kv_jwt_verdict kv_jwt_verify(const struct kv_jwt_token *token,
                                  const struct kv_jwt_policy *policy,
                                  const struct kv_jwt_key_set *keys, int64_t now_s);

#endif
