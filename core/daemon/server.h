/*
 * The whole server: every part made from the configuration, put together, run, and taken apart.
 */
#ifndef KV_DAEMON_SERVER_H
#define KV_DAEMON_SERVER_H

#include "daemon/config.h"

struct kv_import;

enum {
    /* Beside -1, which is a failure at run time: the configuration has to be changed first. */
    KV_MISCONFIGURED = -2
};

/* Serves until SIGTERM or SIGINT; then drains, for at most the configured time, or until a second
 * signal. Call once, from the main thread.
 * import: NULL, or what fills the store first: a volatile one serves then; where the store is
 * durable, nobody is served, and it returns when all is in the store.
 * Returns: 0; -1 where it could not start, or not all could be imported; KV_MISCONFIGURED where the
 * configuration names a policy, sink or script that cannot be opened, which is noted in it. */
int kv_server_run(const struct kv_config *config, struct kv_import *import,
                  struct kv_error *reterr);

#endif
