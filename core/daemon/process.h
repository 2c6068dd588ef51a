/*
 * What the server wants of its process: memory, descriptors, and to be told of errors where it
 * would otherwise be ended.
 */
#ifndef KV_DAEMON_PROCESS_H
#define KV_DAEMON_PROCESS_H

#include "daemon/config.h"

/* Call before any thread is made. */
void kv_process_prepare(void);

/* Raises the limit of open files as far as that goes. Returns: limits.connections, or as many as
 * the system allows: connections beyond that are refused, where otherwise they would wait for a
 * descriptor. */
uint32_t kv_process_fit_connections(const struct kv_config *config);

#endif
