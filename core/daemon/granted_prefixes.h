/*
 * The prefixes of grants in `access` of the configuration.
 */
#ifndef KV_DAEMON_GRANTED_PREFIXES_H
#define KV_DAEMON_GRANTED_PREFIXES_H

#include "daemon/settings.h"

/* Notes their faults. */
void kv_granted_prefixes_check(struct kv_config *config);

/* Warns about prefixes that are valid, but probably not intended. */
void kv_granted_prefixes_warn(const struct kv_config *config,
                              void (*tell)(void *user, const char *text), void *user);

#endif
