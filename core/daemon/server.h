/*
 * The whole server: every part made from the configuration, put together, run, and taken apart.
 */
#ifndef KV_DAEMON_SERVER_H
#define KV_DAEMON_SERVER_H

#include "daemon/config.h"

/* Serves until SIGTERM or SIGINT; then drains, for at most the configured time, or until a second
 * signal. Returns: 0, or -1 where it could not start. Call once, from the main thread. */
int kv_server_run(const struct kv_config *config, struct kv_error *reterr);

#endif
