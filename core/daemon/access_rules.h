/*
 * Reads `access:` of the configuration into the rules of core/access.
 */
#ifndef KV_DAEMON_ACCESS_RULES_H
#define KV_DAEMON_ACCESS_RULES_H

#include "access/rules.h"
#include "daemon/settings.h"

struct kv_jwt_sources;

/* Notes the faults of `access`. */
void kv_access_rules_check(struct kv_config *config);

/* Notes the faults of `access.revoked`, once the store's module is known. */
void kv_access_revoked_check(struct kv_config *config);

/* The prefix of keys that revoke tokens; empty: none. */
struct kv_slice kv_access_revoked(const struct kv_config *config);

/* Whether there are rules. */
bool kv_access_rules_are_configured(const struct kv_config *config);

/* The rules of a configuration without faults. revoked: the prefix of keys that revoke tokens which
 * the server uses, regardless of the configuration; empty: none. sources: of the keys of issuers;
 * they must outlive the rules. Reads files. Owns: the caller, one reference. */
struct kv_rules *kv_access_rules_create(const struct kv_config *config, struct kv_slice revoked,
                                        struct kv_jwt_sources *sources);

#endif
