/*
 * The algorithm must be permitted by the policy, and be one of the key's: a token can only choose
 * among these, so no public key is ever used as the secret of an HMAC (RFC 8725, section 3.1).
 */
#include "jwt/verify.h"

#include "jwt/json.h"

/* ---- the signature ---- */

static bool is_candidate(const struct kv_jwt_named_key *key, const struct kv_jwt_token *token)
{
    if ((key->algorithms & kv_jwt_bit(token->algorithm)) == 0)
        return false;
    return token->kid.bytes == NULL ||
           (key->kid != NULL && kv_slice_equals(token->kid, kv_slice_of(key->kid)));
}

static enum kv_jwt_verdict verify_signature(const struct kv_jwt_token *token,
                                            const struct kv_jwt_key_set *keys)
{
    size_t n_tried = 0;
    if (token->kid.bytes != NULL && !kv_jwt_key_set_knows(keys, token->kid))
        return KV_JWT_UNKNOWN_KEY;
    for (size_t i = 0; i < keys->n; i++) {
        if (!is_candidate(&keys->keys[i], token))
            continue;
        n_tried++;
        if (kv_jwt_key_verify(keys->keys[i].key, token->algorithm, token->signed_text,
                              token->signature))
            return KV_JWT_GOOD;
    }
    return n_tried == 0 ? KV_JWT_BAD_ALGORITHM : KV_JWT_BAD_SIGNATURE;
}

/* ---- the claims ---- */

static enum kv_jwt_verdict verify_times(const struct kv_jwt_token *token, int64_t now_s)
{
    if (!token->has_expiry)
        return KV_JWT_NO_EXPIRY;
    if (now_s - KV_JWT_LEEWAY_S >= token->expires_s)
        return KV_JWT_EXPIRED;
    return now_s + KV_JWT_LEEWAY_S < token->not_before_s ? KV_JWT_NOT_YET : KV_JWT_GOOD;
}

static bool is_text(const json_t *json, struct kv_slice text)
{
    return kv_slice_equals((struct kv_slice){json_string_value(json), json_string_length(json)},
                           text);
}

static enum kv_jwt_verdict verify_audiences(const json_t *list, struct kv_slice wanted)
{
    bool has_it = false;
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item))
            return KV_JWT_MALFORMED;
        has_it = has_it || is_text(item, wanted);
    }
    return has_it ? KV_JWT_GOOD : KV_JWT_WRONG_AUDIENCE;
}

static enum kv_jwt_verdict verify_audience(const json_t *audience, struct kv_slice wanted)
{
    if (audience == NULL || wanted.len == 0)
        return audience == NULL && wanted.len == 0 ? KV_JWT_GOOD : KV_JWT_WRONG_AUDIENCE;
    if (json_is_array(audience))
        return verify_audiences(audience, wanted);
    if (!json_is_string(audience))
        return KV_JWT_MALFORMED;
    return is_text(audience, wanted) ? KV_JWT_GOOD : KV_JWT_WRONG_AUDIENCE;
}

enum kv_jwt_verdict kv_jwt_verify(const struct kv_jwt_token *token,
                                  const struct kv_jwt_policy *policy,
                                  const struct kv_jwt_key_set *keys, int64_t now_s)
{
    if (token->issuer.bytes == NULL || !kv_slice_equals(token->issuer, policy->issuer))
        return KV_JWT_WRONG_ISSUER;
    if ((policy->algorithms & kv_jwt_bit(token->algorithm)) == 0)
        return KV_JWT_BAD_ALGORITHM;
    enum kv_jwt_verdict verdict = verify_signature(token, keys);
    if (verdict == KV_JWT_GOOD)
        verdict = verify_times(token, now_s);
    if (verdict != KV_JWT_GOOD)
        return verdict;
    return verify_audience(json_object_get(token->claims, "aud"), policy->audience);
}
