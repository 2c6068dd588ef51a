/*
 * The metrics of the whole server: of its parts, and of the process.
 */
#ifndef KV_DAEMON_METRICS_H
#define KV_DAEMON_METRICS_H

#include "daemon/running.h"

/* Registers the metrics of all parts of the server. Call before its loops run. */
void kv_server_add_metrics(struct kv_server *server);

#endif
