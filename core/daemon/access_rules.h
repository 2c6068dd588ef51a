/*
 * From `access:` of the configuration to the rules of core/access.
 */
#ifndef KV_DAEMON_ACCESS_RULES_H
#define KV_DAEMON_ACCESS_RULES_H

#include "access/rules.h"
#include "daemon/settings.h"

struct kv_jwt_sources;

/* Notes what is wrong with them. */
void kv_access_rules_check(struct kv_config *config);

/* The same of `access.revoked`, once the store's module is known. */
void kv_access_revoked_check(struct kv_config *config);

/* The prefix of keys that revoke tokens; empty: there is none. */
struct kv_slice kv_access_revoked(const struct kv_config *config);

/* Whether there are any. */
bool kv_access_rules_are_configured(const struct kv_config *config);

/* The rules of a configuration without faults. revoked: the prefix of keys that revoke tokens which
 * the server goes by, whatever the configuration names; empty: none. sources: of the keys of
 * issuers; the rules are to be gone before them. Reads files. Owns: the caller, one reference. */
struct kv_rules *kv_access_rules_create(const struct kv_config *config, struct kv_slice revoked,
                                        struct kv_jwt_sources *sources);

#endif
