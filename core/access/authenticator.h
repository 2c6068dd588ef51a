/*
 * Authenticators verify the tokens of one issuer each, in addition to the static tokens of the
 * configuration. The rules own them and ask them about every token that is not static.
 */
#ifndef KV_ACCESS_AUTHENTICATOR_H
#define KV_ACCESS_AUTHENTICATOR_H

#include "access/grants.h"

enum kv_verdict_on_token {
    KV_TOKEN_VALID,
    KV_TOKEN_INVALID,   /* the token is meant for this authenticator, but bad: *reterr gives the
                           reason */
    KV_TOKEN_UNRELATED, /* the token is not meant for this authenticator: others are asked */
};

/* The identity that a token proves. All zero is empty. */
struct kv_identity {
    struct kv_buffer name;   /* UTF-8: unique for the issuer, such as a `sub` */
    struct kv_buffer issuer; /* UTF-8 */
    struct kv_buffer id;     /* of the token, such as a `jti`; empty: it has none */
    struct kv_buffer claims; /* the JSON object, as shown to hooks; empty: none */
    struct kv_grants grants;
    int64_t
        expires_s; /* since 1970, leeway included: no longer valid from then on; 0: never expires */
};

struct kv_authenticator {
    /* token: as sent, neither empty nor longer than KV_LONGEST_TOKEN. now_s: since 1970. *ret: with
     * KV_TOKEN_VALID; the caller releases it (kv_identity_fini). *reterr: a sentence for the log
     * and the client, without any part of the token; unchanged if it is not the kind of token that
     * is verified here.
     * Threads: any, several at once. It must not block. */
    enum kv_verdict_on_token (*verify)(struct kv_authenticator *self, struct kv_slice token,
                                       int64_t now_s, struct kv_identity *ret,
                                       struct kv_error *reterr);
    /* Called when the rules no longer exist. Threads: any. */
    void (*destroy)(struct kv_authenticator *self);
};

void kv_identity_fini(struct kv_identity *identity);

#endif
