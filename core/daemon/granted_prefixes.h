/*
 * The prefixes that `access` of the configuration grants.
 */
#ifndef KV_DAEMON_GRANTED_PREFIXES_H
#define KV_DAEMON_GRANTED_PREFIXES_H

#include "daemon/settings.h"

/* Notes what is wrong with them. */
void kv_granted_prefixes_check(struct kv_config *config);

/* Tells of those that are valid, but hardly mean what was meant. */
void kv_granted_prefixes_warn(const struct kv_config *config,
                              void (*tell)(void *user, const char *text), void *user);

#endif
