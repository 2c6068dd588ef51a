/*
 * Reads `access.jwt` of the configuration into the issuers of core/access.
 */
#ifndef KV_DAEMON_ISSUERS_H
#define KV_DAEMON_ISSUERS_H

#include "access/rules.h"
#include "daemon/settings.h"
#include "jwt/verify.h"

struct kv_jwt_sources;

/* Notes their faults; reads the files of keys. */
void kv_issuers_check(struct kv_config *config);

/* The number of issuers. */
size_t kv_issuers_count(const struct kv_config *config);

/* An issuer for whom tokens can be created. Borrows the configuration. */
struct kv_mintable {
    struct kv_slice secret;
    struct kv_jwt_policy policy; /* for its tokens */
    bool needs_subject;
};

/* Finds the first issuer that has a secret. Returns: false if none has. */
bool kv_issuers_find_secret(const struct kv_config *config, struct kv_mintable *ret);

/* Creates the issuers of a configuration without faults, as authenticators of the rules, which have
 * room for them and own them. revoked: as for kv_access_rules_create(). Reads files. */
void kv_issuers_create(const struct kv_config *config, struct kv_slice revoked,
                       struct kv_jwt_sources *sources, struct kv_rules *rules);

#endif
