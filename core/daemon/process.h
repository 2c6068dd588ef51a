/*
 * Prepares the process: memory, descriptors, and signals that would terminate it instead of
 * returning an error.
 */
#ifndef KV_DAEMON_PROCESS_H
#define KV_DAEMON_PROCESS_H

#include "daemon/config.h"

/* Call before any thread is created. */
void kv_process_prepare(void);

/* Raises the limit of open files as far as possible. Returns: limits.connections, or as many as the
 * system allows: connections beyond that are refused, as otherwise they would wait for a
 * descriptor. */
uint32_t kv_process_fit_connections(const struct kv_config *config);

/* The same, and how many of the descriptors that are left those connections may hold that have
 * ended or are refused: with all of them, clients could keep the store from opening its files. */
void kv_process_fit_net(const struct kv_config *config, struct kv_net_config *net);

#endif
