/*
 * An issuer of JSON Web Tokens as an authenticator: verifies its tokens, and determines their
 * grants.
 */
#ifndef KV_ACCESS_ISSUER_H
#define KV_ACCESS_ISSUER_H

#include "access/authenticator.h"
#include "jwt/source.h"
#include "jwt/verify.h"

/* Prefixes, each a template (template.h) or a literal. */
struct kv_issuer_list {
    const struct kv_slice *texts;
    size_t n;
};

struct kv_issuer_config {
    struct kv_jwt_policy policy;
    struct kv_issuer_list read, write; /* templates: granted to every token of this issuer */
    struct kv_slice claim;             /* NUL-terminated; empty: tokens grant nothing */
    struct kv_slice revoked;           /* NUL-terminated: the prefix of revocations; empty: none */
    struct kv_issuer_list at_most_read, at_most_write; /* literals: limit the grants of the claim */
};

/* config: copied. source: taken over, one reference. Owns: the caller, by its destroy(). */
struct kv_authenticator *kv_issuer_create(const struct kv_issuer_config *config,
                                          struct kv_jwt_source *source);

#endif
