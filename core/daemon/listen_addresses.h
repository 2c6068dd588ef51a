/*
 * Reads the addresses to listen on from the configuration.
 */
#ifndef KV_DAEMON_LISTEN_ADDRESSES_H
#define KV_DAEMON_LISTEN_ADDRESSES_H

#include "daemon/settings.h"

/* Notes their faults. */
void kv_listen_addresses_read(struct kv_config *config);

#endif
