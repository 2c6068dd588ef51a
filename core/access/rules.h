/*
 * Rules: who may do what, as configured. Immutable; a reload makes new ones, and those who
 * refer to the old ones are judged anew.
 *
 * Threads: any; the count of holders is atomic.
 */
#ifndef KV_ACCESS_RULES_H
#define KV_ACCESS_RULES_H

#include <stdatomic.h>

#include "access/authenticator.h"
#include "access/rates.h"
#include "access/token.h"

struct kv_token_rule {
    struct kv_slice name; /* unique */
    bool has_digest;      /* otherwise it is proved by a certificate alone */
    unsigned char digest[KV_TOKEN_DIGEST];
    struct kv_slice certificate; /* whom a client's certificate must name in its place; empty: none
                                    may */
    struct kv_grants grants;
};

/* Made by the caller, who fills it in (kv_rules_create). */
struct kv_rules {
    _Atomic uint32_t n_holders;
    bool are_configured;        /* false: everybody may do everything */
    struct kv_grants anonymous; /* those who bring no credentials */
    struct kv_token_rule *tokens;
    size_t n_tokens;
    struct kv_authenticator **authenticators;
    size_t n_authenticators;
    struct kv_rates rates;
    uint32_t most_connections; /* of one token, or subject of an issuer; 0: any number */
    struct kv_slice cookie;    /* the name of the one that may hold a token; empty: none */
};

/* Rules with room for so many tokens and authenticators, all of them blank and counted already.
 * Names of tokens, certificates and of the cookie are copies that the rules own (malloc). Owns: the
 * caller, one reference. */
struct kv_rules *kv_rules_create(size_t n_tokens, size_t n_authenticators);

struct kv_rules *kv_rules_ref(struct kv_rules *rules);
/* Accepts NULL. */
void kv_rules_unref(struct kv_rules *rules);

/* The rule of a static token. Takes as long whichever it is. Returns: NULL where there is none. */
const struct kv_token_rule *kv_rules_find(const struct kv_rules *rules, struct kv_slice token);

/* The rule of whom a client's certificate names. Returns: NULL where there is none. */
const struct kv_token_rule *kv_rules_find_certificate(const struct kv_rules *rules,
                                                      struct kv_slice name);

#endif
