/*
 * What verifies tokens of one issuer, beside the static tokens of the configuration. The rules own
 * it and ask it for every token that they do not know themselves.
 */
#ifndef KV_ACCESS_AUTHENTICATOR_H
#define KV_ACCESS_AUTHENTICATOR_H

#include "access/grants.h"

enum kv_verdict_on_token {
    KV_TOKEN_VALID,
    KV_TOKEN_INVALID,   /* it is for this authenticator, and it is bad: *reterr says why */
    KV_TOKEN_UNRELATED, /* it is not for this authenticator: others are asked */
};

/* Whom a token identifies. All zero is empty. */
struct kv_identity {
    struct kv_buffer name;   /* UTF-8: unique for the issuer, as a `sub` */
    struct kv_buffer issuer; /* UTF-8 */
    struct kv_buffer id;     /* of the token, as a `jti`; empty: it has none */
    struct kv_buffer claims; /* the JSON object, as hooks get to see it; empty: none */
    struct kv_grants grants;
    int64_t expires_s; /* since 1970, leeway included: from then on it is no longer valid; 0: never
                        */
};

struct kv_authenticator {
    /* token: as it was sent, neither empty nor longer than KV_LONGEST_TOKEN. now_s: since 1970.
     * *ret: with KV_TOKEN_VALID; the caller releases it (kv_identity_fini). *reterr: a sentence for
     * the log and for the client; no part of the token in it.
     * Threads: any, several at once. It must not block. */
    enum kv_verdict_on_token (*verify)(struct kv_authenticator *self, struct kv_slice token,
                                       int64_t now_s, struct kv_identity *ret,
                                       struct kv_error *reterr);
    /* The rules are gone. Threads: any. */
    void (*destroy)(struct kv_authenticator *self);
};

void kv_identity_fini(struct kv_identity *identity);

#endif
