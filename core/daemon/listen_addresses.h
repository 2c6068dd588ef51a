/*
 * The addresses that the file tells the server to listen on.
 */
#ifndef KV_DAEMON_LISTEN_ADDRESSES_H
#define KV_DAEMON_LISTEN_ADDRESSES_H

#include "daemon/settings.h"

/* Faults are noted. */
void kv_listen_addresses_read(struct kv_config *config);

#endif
