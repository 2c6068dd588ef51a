/*
 * Creates tokens, only for trying out the server: issuers have their own means.
 */
#ifndef KV_JWT_MINT_H
#define KV_JWT_MINT_H

#include "base/buffer.h"
#include "jwt/verify.h"

/* Appends a token for HS256 that satisfies the policy. claims: a JSON object; `iss`, `aud` (if the
 * policy has one) and `exp` are added if they are missing. Errors: -1, if claims is not such an
 * object. */
int kv_jwt_mint(struct kv_slice secret, const struct kv_jwt_policy *policy, struct kv_slice claims,
                int64_t expires_s, struct kv_buffer *out, struct kv_error *reterr);

#endif
