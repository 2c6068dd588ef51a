/*
 * Reads `access.rates` of the configuration, and `limits.connections_per_token`, into the rules of
 * core/access.
 */
#ifndef KV_DAEMON_ACCESS_RATES_H
#define KV_DAEMON_ACCESS_RATES_H

#include "access/rules.h"
#include "daemon/settings.h"

/* Notes their faults. */
void kv_access_rates_check(struct kv_config *config);

/* For a configuration without faults. */
void kv_access_rates_read(const struct kv_config *config, struct kv_rules *rules);

#endif
