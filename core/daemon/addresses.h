/*
 * Hosts in the configuration: addresses to listen on, hosts that requests may name, and origins of
 * pages. Faults are noted in the configuration.
 */
#ifndef KV_DAEMON_ADDRESSES_H
#define KV_DAEMON_ADDRESSES_H

#include "conf/conf.h"

/* Checks the form of an address or host name; whether the host exists, and whether its port is
 * free, is checked later. at: its place; path: its name in messages. Returns: the host without the
 * brackets of an IPv6 address, copied; NULL if it is not valid. Owns: the caller. */
char *kv_host_read(struct kv_conf *conf, const struct kv_conf_node *at, const char *path,
                   struct kv_slice text);

/* Checks a host that requests may name, without a port, or a pattern (wire/host_pattern.h). */
void kv_served_host_check(struct kv_conf *conf, const struct kv_conf_node *at, const char *path,
                          struct kv_slice text);

/* Checks an origin as sent by browsers, `scheme://host[:port]` or `null`, or a pattern. */
void kv_origin_check(struct kv_conf *conf, const struct kv_conf_node *at, const char *path,
                     struct kv_slice text);

#endif
