/*
 * From `access:` of the configuration to the rules of core/access.
 */
#ifndef KV_DAEMON_ACCESS_RULES_H
#define KV_DAEMON_ACCESS_RULES_H

#include "access/rules.h"
#include "daemon/settings.h"

/* Notes what is wrong with them. */
void kv_access_rules_check(struct kv_config *config);

/* Whether there are any. */
bool kv_access_rules_are_configured(const struct kv_config *config);

/* The rules of a configuration without faults. Owns: the caller, one reference. */
struct kv_rules *kv_access_rules_create(const struct kv_config *config);

#endif
