/*
 * The proxies that are trusted to name their clients (`trusted_proxies`).
 */
#ifndef KV_DAEMON_PROXIES_H
#define KV_DAEMON_PROXIES_H

#include "daemon/settings.h"

/* Reads them into config->net. Faults are noted. */
void kv_proxies_read(struct kv_config *config);

#endif
