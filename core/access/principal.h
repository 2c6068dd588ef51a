/*
 * A principal: the identity of a client, and its grants. Connections refer to it; it is immutable,
 * except for its generation.
 *
 * Threads: a principal belongs to one loop, and so does its reference count; the constant ones
 * below are shared.
 */
#ifndef KV_ACCESS_PRINCIPAL_H
#define KV_ACCESS_PRINCIPAL_H

#include "access/grants.h"
#include "base/budget.h"
#include "base/list.h"

struct kv_meter;
struct kv_rules;

enum {
    KV_EXPIRY_LEEWAY_S = 30 /* of tokens, included in `expires_s`, as clocks may differ */
};

enum kv_principal_kind {
    KV_PRINCIPAL_CONSTANT,  /* not reference-counted */
    KV_PRINCIPAL_ANONYMOUS, /* no credentials were given */
    KV_PRINCIPAL_TOKEN,     /* a token of the configuration, or a certificate in its place */
    KV_PRINCIPAL_VERIFIED,  /* a token that an authenticator has verified */
};

struct kv_principal {
    enum kv_principal_kind kind;
    bool is_unlimited;         /* every right is granted, as there are no rules */
    uint64_t generation;       /* as of which it was judged; updated by its loop */
    uint64_t rules_generation; /* of the rules, and keys, from which it was created */
    struct kv_slice name;      /* for logs, hooks and errors; empty: it has none */
    struct kv_slice issuer;    /* VERIFIED: of the token; names are unique only within an issuer */
    struct kv_slice claims;    /* a JSON object; empty: none */
    struct kv_slice id;        /* VERIFIED: of the token; empty: it has none */
    struct kv_slice token;     /* the token that proved it: never shown */
    struct kv_slice certificate; /* or the name in the certificate that proved it */
    const struct kv_grants *grants;
    int64_t expires_s;      /* since 1970, for a token with the leeway; 0: never */
    struct kv_meter *meter; /* of the token; NULL: it is not metered */

    /* For principal.c. */
    uint32_t n_holders;
    struct kv_rules *rules;  /* the rules that it borrows from; NULL: none */
    struct kv_grants owned;  /* VERIFIED: what `grants` points to */
    struct kv_charge charge; /* for its bytes, which follow */
};

/* The parts to create a principal from, as described there. Texts are copied; `owned` is taken
 * over. */
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

/* tally: counts its bytes; NULL: they are not counted. Owns: the caller, one reference. */
struct kv_principal *kv_principal_create(const struct kv_principal_parts *parts,
                                         struct kv_tally *tally);

struct kv_principal *kv_principal_ref(struct kv_principal *principal);
/* Accepts NULL. */
void kv_principal_unref(struct kv_principal *principal);

/* May do everything: used if no rules are configured, and for the server itself. */
extern struct kv_principal kv_principal_everything;

/* May do nothing: the principal of a client that is not yet identified. */
extern struct kv_principal kv_principal_nobody;

static inline bool kv_principal_has_expired(const struct kv_principal *principal, int64_t now_s)
{
    return principal->expires_s != 0 && now_s >= principal->expires_s;
}

static inline bool kv_principal_may_nothing(const struct kv_principal *principal)
{
    return !principal->is_unlimited && kv_grants_are_none(principal->grants);
}

/* Whether there are keys that it may read. */
static inline bool kv_principal_may_read(const struct kv_principal *principal)
{
    return principal->is_unlimited || principal->grants->read.n != 0;
}

/* Whether the client is identified, by a token or a certificate. */
static inline bool kv_principal_is_identified(const struct kv_principal *principal)
{
    return principal->kind == KV_PRINCIPAL_TOKEN || principal->kind == KV_PRINCIPAL_VERIFIED;
}

/* Whether both have the same identity, regardless of their grants. */
bool kv_principal_is_same(const struct kv_principal *a, const struct kv_principal *b);

#endif
