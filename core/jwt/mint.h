/*
 * Making a token: for trying only, as whoever issues tokens has means of their own.
 */
#ifndef KV_JWT_MINT_H
#define KV_JWT_MINT_H

#include "base/buffer.h"
#include "jwt/verify.h"

/* Appends a token for HS256 that meets the policy. claims: a JSON object; `iss`, `aud` (if the
 * policy has one) and `exp` are added where it has none. Errors: -1, where claims is no such
 * object. */
int kv_jwt_mint(struct kv_slice secret, const struct kv_jwt_policy *policy, struct kv_slice claims,
                int64_t expires_s, struct kv_buffer *out, struct kv_error *reterr);

#endif
