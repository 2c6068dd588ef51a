/*
 * Prints the effective configuration as YAML, with absolute paths.
 */
#ifndef KV_DAEMON_PRINT_H
#define KV_DAEMON_PRINT_H

#include "daemon/config.h"

struct kv_conf_printer;

void kv_config_print(const struct kv_config *config, struct kv_conf_printer *printer);

#endif
