/*
 * Rules: the configured rights of clients. Immutable; a reload creates new ones, and principals
 * that refer to the old ones are judged anew.
 *
 * Threads: any; the reference count is atomic.
 */
#ifndef KV_ACCESS_RULES_H
#define KV_ACCESS_RULES_H

#include <stdatomic.h>

#include "access/authenticator.h"
#include "access/rates.h"
#include "access/token.h"

struct kv_token_rule {
    struct kv_slice name; /* unique */
    bool has_digest;      /* otherwise only a certificate proves it */
    unsigned char digest[KV_TOKEN_DIGEST];
    struct kv_slice certificate; /* the name that a client's certificate must have instead of the
                                    token; empty: no certificate is accepted */
    struct kv_grants grants;
};

/* Created by the caller, who fills it in (kv_rules_create). */
struct kv_rules {
    _Atomic uint32_t n_holders;
    bool are_configured;        /* false: every client may do everything */
    struct kv_grants anonymous; /* of clients without credentials */
    struct kv_token_rule *tokens;
    size_t n_tokens;
    struct kv_authenticator **authenticators;
    size_t n_authenticators;
    struct kv_rates rates;
    uint32_t most_connections; /* of one token, or one subject of an issuer; 0: no limit */
    struct kv_slice cookie;    /* the name of the cookie that may hold a token; empty: none */
};

/* Rules with room for this many tokens and authenticators, blank but already counted. Names of
 * tokens, certificates and of the cookie are copies that the rules own (malloc). Owns: the caller,
 * one reference. */
struct kv_rules *kv_rules_create(size_t n_tokens, size_t n_authenticators);

struct kv_rules *kv_rules_ref(struct kv_rules *rules);
/* Accepts NULL. */
void kv_rules_unref(struct kv_rules *rules);

/* The rule of a static token. Takes equally long for all of them. Returns: NULL if there is
 * none. */
const struct kv_token_rule *kv_rules_find(const struct kv_rules *rules, struct kv_slice token);

/* The rule for the name in a client's certificate. Returns: NULL if there is none. */
const struct kv_token_rule *kv_rules_find_certificate(const struct kv_rules *rules,
                                                      struct kv_slice name);

#endif
