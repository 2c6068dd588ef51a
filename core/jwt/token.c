#include "jwt/token.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "jwt/json.h"
#include "jwt/key_set.h"
#include "wire/base64url.h"

enum {
    N_PARTS = 3
};

static const int64_t latest_s = INT64_C(1) << 53; /* a double represents integers up to this */

const char *kv_jwt_verdict_text(enum kv_jwt_verdict verdict)
{
    static const char *const texts[] = {
        [KV_JWT_GOOD] = "is good",
        [KV_JWT_MALFORMED] = "cannot be read",
        [KV_JWT_TOO_LONG] = "is longer than 8 KiB",
        [KV_JWT_BAD_ALGORITHM] = "has an algorithm that is not accepted",
        [KV_JWT_CRITICAL] = "has critical extensions",
        [KV_JWT_WRONG_ISSUER] = "is from another issuer",
        [KV_JWT_UNKNOWN_KEY] = "names an unknown key",
        [KV_JWT_BAD_SIGNATURE] = "has a signature of none of the keys",
        [KV_JWT_NO_EXPIRY] = "has no `exp`",
        [KV_JWT_EXPIRED] = "has expired",
        [KV_JWT_NOT_YET] = "is not valid yet",
        [KV_JWT_WRONG_AUDIENCE] = "is for another audience",
    };
    return texts[verdict];
}

/* ---- parts ---- */

/* Returns: false if it does not have exactly three parts, or one is empty. */
static bool split(struct kv_slice text, struct kv_slice parts[N_PARTS])
{
    const char *at = text.bytes, *end = text.bytes + text.len;
    for (int i = 0; i < N_PARTS; i++) {
        const char *dot = memchr(at, '.', (size_t)(end - at));
        bool is_last = i == N_PARTS - 1;
        if (is_last != (dot == NULL))
            return false;
        parts[i] = (struct kv_slice){at, (size_t)((is_last ? end : dot) - at)};
        if (parts[i].len == 0)
            return false;
        at = dot == NULL ? end : dot + 1;
    }
    return true;
}

/* Owns: the caller. Returns: NULL if it is not a JSON object. */
static json_t *read_object(struct kv_slice part)
{
    char decoded[KV_JWT_LONGEST_TOKEN];
    if (!kv_base64url_decode(part, decoded))
        return NULL;
    return kv_jwt_json_read((struct kv_slice){decoded, kv_base64url_decoded_len(part.len)}, NULL);
}

static bool read_signature(struct kv_jwt_token *token, struct kv_slice part)
{
    size_t len = kv_base64url_decoded_len(part.len);
    token->signature = (struct kv_slice){token->signature_bytes, len};
    return len <= sizeof(token->signature_bytes) &&
           kv_base64url_decode(part, token->signature_bytes);
}

/* ---- the header ---- */

/* Extensions that must be understood: a `b64` of false changes the text that is signed (RFC 7797),
 * and would be listed in `crit` if its issuer followed the rules. */
static bool has_critical(const json_t *header)
{
    const json_t *b64 = json_object_get(header, "b64");
    return json_object_get(header, "crit") != NULL || (b64 != NULL && !json_is_true(b64));
}

static enum kv_jwt_verdict read_header(struct kv_jwt_token *token)
{
    struct kv_slice algorithm;
    if (has_critical(token->header))
        return KV_JWT_CRITICAL;
    if (kv_jwt_json_text(token->header, "alg", &algorithm) != KV_JWT_MEMBER_THERE)
        return KV_JWT_MALFORMED;
    if (!kv_jwt_algorithm_find(algorithm, &token->algorithm))
        return KV_JWT_BAD_ALGORITHM;
    if (kv_jwt_json_text(token->header, "kid", &token->kid) == KV_JWT_MEMBER_OTHER ||
        token->kid.len > KV_JWT_LONGEST_KID)
        return KV_JWT_MALFORMED;
    return KV_JWT_GOOD;
}

/* ---- the claims ---- */

static int64_t clamp(double seconds)
{
    if (seconds >= (double)latest_s)
        return latest_s;
    return seconds <= -(double)latest_s ? -latest_s : (int64_t)floor(seconds);
}

static enum kv_jwt_member read_time(const json_t *claims, const char *name, int64_t *ret_s)
{
    const json_t *member = json_object_get(claims, name);
    if (member == NULL)
        return KV_JWT_MEMBER_MISSING;
    if (!json_is_number(member))
        return KV_JWT_MEMBER_OTHER;
    *ret_s = clamp(json_number_value(member));
    return KV_JWT_MEMBER_THERE;
}

static bool read_claims(struct kv_jwt_token *token)
{
    const json_t *claims = token->claims;
    token->not_before_s = INT64_MIN;
    enum kv_jwt_member expiry = read_time(claims, "exp", &token->expires_s);
    token->has_expiry = expiry == KV_JWT_MEMBER_THERE;
    return expiry != KV_JWT_MEMBER_OTHER &&
           read_time(claims, "nbf", &token->not_before_s) != KV_JWT_MEMBER_OTHER &&
           kv_jwt_json_text(claims, "iss", &token->issuer) != KV_JWT_MEMBER_OTHER &&
           kv_jwt_json_text(claims, "sub", &token->subject) != KV_JWT_MEMBER_OTHER &&
           kv_jwt_json_text(claims, "jti", &token->id) != KV_JWT_MEMBER_OTHER;
}

/* ---- tokens ---- */

static enum kv_jwt_verdict read_parts(struct kv_jwt_token *token,
                                      const struct kv_slice parts[N_PARTS])
{
    if ((token->header = read_object(parts[0])) == NULL)
        return KV_JWT_MALFORMED;
    enum kv_jwt_verdict verdict = read_header(token);
    if (verdict != KV_JWT_GOOD)
        return verdict;
    token->claims = read_object(parts[1]);
    return token->claims != NULL && read_claims(token) && read_signature(token, parts[2])
               ? KV_JWT_GOOD
               : KV_JWT_MALFORMED;
}

enum kv_jwt_verdict kv_jwt_token_read(struct kv_slice text, struct kv_jwt_token **ret_token)
{
    struct kv_slice parts[N_PARTS];
    if (text.len > KV_JWT_LONGEST_TOKEN)
        return KV_JWT_TOO_LONG;
    if (text.len == 0 || !split(text, parts))
        return KV_JWT_MALFORMED;
    struct kv_jwt_token *token = kv_calloc(1, sizeof(*token));
    size_t signed_len = (size_t)(parts[2].bytes - 1 - text.bytes);
    token->signed_text = (struct kv_slice){text.bytes, signed_len};
    token->claims_text = parts[1];
    enum kv_jwt_verdict verdict = read_parts(token, parts);
    if (verdict == KV_JWT_GOOD)
        *ret_token = token;
    else
        kv_jwt_token_destroy(token);
    return verdict;
}

void kv_jwt_token_destroy(struct kv_jwt_token *token)
{
    if (token == NULL)
        return;
    json_decref(token->header);
    json_decref(token->claims);
    free(token);
}

void kv_jwt_token_append_claims(const struct kv_jwt_token *token, struct kv_buffer *out)
{
    size_t len = kv_base64url_decoded_len(token->claims_text.len);
    if (kv_base64url_decode(token->claims_text, kv_buffer_reserve(out, len)))
        out->len += len;
}

bool kv_jwt_token_list_item(const struct kv_jwt_token *token, const char *claim, const char *member,
                            size_t i, struct kv_slice *ret_text)
{
    const json_t *list = json_object_get(json_object_get(token->claims, claim), member);
    const json_t *item = json_array_get(list, i);
    if (!json_is_string(item))
        return false;
    *ret_text = (struct kv_slice){json_string_value(item), json_string_length(item)};
    return true;
}
