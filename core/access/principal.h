/*
 * A principal: somebody who asks, and what is granted to them. Connections refer to it; it is
 * immutable, but for the generation as of which it holds.
 *
 * Threads: a principal belongs to one loop, and so does the count of its holders; the constant
 * ones below are everybody's.
 */
#ifndef KV_ACCESS_PRINCIPAL_H
#define KV_ACCESS_PRINCIPAL_H

#include "access/grants.h"
#include "base/budget.h"
#include "base/list.h"

struct kv_meter;
struct kv_rules;

enum {
    KV_EXPIRY_LEEWAY_S = 30 /* of `expires_s`: by which clocks may differ */
};

enum kv_principal_kind {
    KV_PRINCIPAL_CONSTANT,  /* it is not counted */
    KV_PRINCIPAL_ANONYMOUS, /* no credentials were given */
    KV_PRINCIPAL_TOKEN,     /* a token of the configuration, or a certificate in its place */
    KV_PRINCIPAL_VERIFIED,  /* a token that an authenticator has verified */
};

struct kv_principal {
    enum kv_principal_kind kind;
    bool is_unlimited;           /* every right is granted: there are no rules */
    uint64_t generation;         /* as of which it was judged; its loop moves it on */
    uint64_t rules_generation;   /* of the rules, and keys, that it was made by */
    struct kv_slice name;        /* for logs, hooks and errors; empty: it has none */
    struct kv_slice issuer;      /* VERIFIED: of the token; a name is unique with it only */
    struct kv_slice claims;      /* a JSON object; empty: none */
    struct kv_slice id;          /* VERIFIED: of the token; empty: it has none */
    struct kv_slice token;       /* that proved it: never shown */
    struct kv_slice certificate; /* or whom the certificate names that did */
    const struct kv_grants *grants;
    int64_t expires_s;      /* since 1970, leeway included; 0: never */
    struct kv_meter *meter; /* of the token; NULL: it is not metered */

    /* For principal.c. */
    uint32_t n_holders;
    struct kv_rules *rules;  /* that it borrows from; NULL: none */
    struct kv_grants owned;  /* VERIFIED: what `grants` points to */
    struct kv_charge charge; /* for its bytes, which follow */
};

/* What a principal is made of: see there. Texts are copied; `owned` is taken over. */
struct kv_principal_parts {
    enum kv_principal_kind kind;
    struct kv_rules *rules;
    uint64_t generation, rules_generation;
    struct kv_slice name, issuer, claims, id, token, certificate;
    const struct kv_grants *grants; /* of the rules; NULL: `owned` */
    struct kv_grants owned;
    int64_t expires_s;
    struct kv_meter *meter; /* taken over; NULL: none */
};

/* tally: counts its bytes; NULL: nothing does. Owns: the caller, one reference. */
struct kv_principal *kv_principal_create(const struct kv_principal_parts *parts,
                                         struct kv_tally *tally);

struct kv_principal *kv_principal_ref(struct kv_principal *principal);
/* Accepts NULL. */
void kv_principal_unref(struct kv_principal *principal);

/* May do everything: where no rules are configured, and for what the server does itself. */
extern struct kv_principal kv_principal_everything;

/* May do nothing: what a client has until it is identified. */
extern struct kv_principal kv_principal_nobody;

static inline bool kv_principal_has_expired(const struct kv_principal *principal, int64_t now_s)
{
    return principal->expires_s != 0 && now_s >= principal->expires_s;
}

static inline bool kv_principal_may_nothing(const struct kv_principal *principal)
{
    return !principal->is_unlimited && kv_grants_are_none(principal->grants);
}

/* Whether the client is identified, by a token or a certificate. */
static inline bool kv_principal_is_identified(const struct kv_principal *principal)
{
    return principal->kind == KV_PRINCIPAL_TOKEN || principal->kind == KV_PRINCIPAL_VERIFIED;
}

/* Whether both are the same somebody, whatever is granted to them. */
bool kv_principal_is_same(const struct kv_principal *a, const struct kv_principal *b);

#endif
