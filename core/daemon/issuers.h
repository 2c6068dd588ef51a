/*
 * From `access.jwt` of the configuration to the issuers of core/access.
 */
#ifndef KV_DAEMON_ISSUERS_H
#define KV_DAEMON_ISSUERS_H

#include "access/rules.h"
#include "daemon/settings.h"
#include "jwt/verify.h"

struct kv_jwt_sources;

/* Notes what is wrong with them; reads the files of keys. */
void kv_issuers_check(struct kv_config *config);

/* How many there are. */
size_t kv_issuers_count(const struct kv_config *config);

/* What tokens can be made with. Borrows the configuration. */
struct kv_mintable {
    struct kv_slice secret;
    struct kv_jwt_policy policy; /* that they must meet */
    bool needs_subject;
};

/* Of the first issuer that has a secret. Returns: false where none has. */
bool kv_issuers_find_secret(const struct kv_config *config, struct kv_mintable *ret);

/* Those of a configuration without faults, as the authenticators of the rules, which have room for
 * them and own them. revoked: as for kv_access_rules_create(). Reads files. */
void kv_issuers_create(const struct kv_config *config, struct kv_slice revoked,
                       struct kv_jwt_sources *sources, struct kv_rules *rules);

#endif
