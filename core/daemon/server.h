/*
 * The whole server: creates every part from the configuration, connects, runs, and destroys them.
 */
#ifndef KV_DAEMON_SERVER_H
#define KV_DAEMON_SERVER_H

#include "daemon/config.h"

struct kv_import;

enum {
    /* In addition to -1, a failure at run time: the configuration has to be changed first. */
    KV_MISCONFIGURED = -2
};

/* Serves until SIGTERM or SIGINT; then drains, for at most the configured time, or until a second
 * signal. Call once, from the main thread.
 * import: fills the store first, or NULL. A server with a volatile store then serves; with a
 * durable store it serves nobody, and returns when everything is in the store.
 * Returns: 0; -1 if it could not start, or not everything could be imported; KV_MISCONFIGURED if
 * the configuration names a policy, sink or script that cannot be opened, which is noted in it. */
int kv_server_run(const struct kv_config *config, struct kv_import *import,
                  struct kv_error *reterr);

#endif
