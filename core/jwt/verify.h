/*
 * Whether a token is to be believed: its signature by the keys of its issuer, and its claims.
 */
#ifndef KV_JWT_VERIFY_H
#define KV_JWT_VERIFY_H

#include "jwt/key_set.h"
#include "jwt/token.h"

enum {
    KV_JWT_LEEWAY_S = 30 /* by which clocks may differ */
};

/* What is asked of the tokens of one issuer. */
struct kv_jwt_policy {
    struct kv_slice issuer;   /* `iss`, exactly */
    struct kv_slice audience; /* one of `aud`; empty: the token must have none (RFC 7519, 4.1.3) */
    uint32_t algorithms;      /* that are allowed; a key's own are a limit, too */
};

/*
 * Judges a token. With a `kid` only keys of that `kid` are tried, otherwise all. now_s: seconds
 * since 1970. Returns: KV_JWT_GOOD; or the first thing that is wrong: the issuer, the algorithm,
 * the key, the signature, and only then the claims. Threads: any; it may take a millisecond for
 * each key tried.
 */
enum kv_jwt_verdict kv_jwt_verify(const struct kv_jwt_token *token,
                                  const struct kv_jwt_policy *policy,
                                  const struct kv_jwt_key_set *keys, int64_t now_s);

#endif
