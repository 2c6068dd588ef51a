/*
 * A JSON Web Token in the compact form of JWS (RFC 7515, 7519), split into its parts. Its contents
 * must not be trusted until kv_jwt_verify() has accepted it (verify.h).
 */
#ifndef KV_JWT_TOKEN_H
#define KV_JWT_TOKEN_H

#include "base/buffer.h"
#include "jwt/algorithm.h"
#include "jwt/key.h"

enum {
    KV_JWT_LONGEST_TOKEN = 8192 /* bytes */
};

enum kv_jwt_verdict {
    KV_JWT_GOOD = 0,
    KV_JWT_MALFORMED = 1, /* it cannot be parsed, or a claim has the wrong type */
    KV_JWT_TOO_LONG = 2,
    KV_JWT_BAD_ALGORITHM = 3, /* unknown, `none`, not permitted, or not one of the key's */
    KV_JWT_CRITICAL = 4,      /* it has a `crit`, or a `b64` that is not true */
    KV_JWT_WRONG_ISSUER = 5,
    KV_JWT_UNKNOWN_KEY = 6, /* no key has its `kid`: newer keys may */
    KV_JWT_BAD_SIGNATURE = 7,
    KV_JWT_NO_EXPIRY = 8,
    KV_JWT_EXPIRED = 9,
    KV_JWT_NOT_YET = 10,
    KV_JWT_WRONG_AUDIENCE = 11
};

/* For the operator: continues a sentence that begins with "the token …". */
const char *kv_jwt_verdict_text(enum kv_jwt_verdict verdict);

/* The texts are those of the claims, NUL-terminated; bytes NULL if the claim is missing. */
struct kv_jwt_token {
    enum kv_jwt_algorithm algorithm; /* as in its header */
    struct kv_slice kid;
    struct kv_slice issuer, subject, id; /* `iss`, `sub`, `jti` */
    bool has_expiry;
    int64_t expires_s;           /* `exp`: seconds since 1970, rounded down, at most 2^53 */
    int64_t not_before_s;        /* `nbf`, likewise; INT64_MIN if it has none */
    struct kv_slice signed_text; /* borrowed */
    struct kv_slice claims_text; /* borrowed: the second part, encoded */
    struct kv_slice signature;
    struct json_t *header, *claims;
    char signature_bytes[KV_JWT_LONGEST_SIGNATURE];
};

/*
 * Parses a token. Its three parts must be canonical base64url without padding, and the first two of
 * them JSON objects without repeated members. text: lent as long as the token. Owns: the caller, by
 * kv_jwt_token_destroy(). Returns: KV_JWT_GOOD, which does not mean that its signature and claims
 * are valid; otherwise *ret_token is not set.
 */
enum kv_jwt_verdict kv_jwt_token_read(struct kv_slice text, struct kv_jwt_token **ret_token);

/* Accepts NULL. */
void kv_jwt_token_destroy(struct kv_jwt_token *token);

/* Appends the claims as in the token: the text of a JSON object. */
void kv_jwt_token_append_claims(const struct kv_jwt_token *token, struct kv_buffer *out);

/* The i-th text of a list that is a member of a claim: for `{"kv": {"read": ["a", "b"]}}`, item 1
 * of kv, read is "b". Returns: false after the last, and if there is no such list of texts. */
bool kv_jwt_token_list_item(const struct kv_jwt_token *token, const char *claim, const char *member,
                            size_t i, struct kv_slice *ret_text);

#endif
