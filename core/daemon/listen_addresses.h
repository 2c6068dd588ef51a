/*
 * Where the file has the server listen.
 */
#ifndef KV_DAEMON_LISTEN_ADDRESSES_H
#define KV_DAEMON_LISTEN_ADDRESSES_H

#include "daemon/settings.h"

/* Faults are noted. */
void kv_listen_addresses_read(struct kv_config *config);

#endif
