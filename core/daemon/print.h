/*
 * Prints the effective configuration as YAML, with absolute paths.
 */
#ifndef KV_DAEMON_PRINT_H
#define KV_DAEMON_PRINT_H

#include "daemon/config.h"

struct kv_conf_printer;

/* shows_absent: prints `access` with its defaults even if it is not given. To load that would mean
 * something else, as an empty one denies everything. */
void kv_config_print(const struct kv_config *config, bool shows_absent,
                     struct kv_conf_printer *printer);

#endif
