/*
 * What the file says of hosts: addresses to listen on, hosts that requests may be for, and origins
 * of pages. What is wrong is noted in the configuration.
 */
#ifndef KV_DAEMON_ADDRESSES_H
#define KV_DAEMON_ADDRESSES_H

#include "conf/conf.h"

/* Checks the form of an address or a host's name; whether there is such a host, and whether its
 * port is free, is found out later. at: its place; path: what messages call it. Returns: the host
 * without the brackets of an IPv6 address, copied; NULL where it is none. Owns: the caller. */
char *kv_host_read(struct kv_conf *conf, const struct kv_conf_node *at, const char *path,
                   struct kv_slice text);

/* Checks a host that requests may be for, without a port, or a pattern (wire/host_pattern.h). */
void kv_served_host_check(struct kv_conf *conf, const struct kv_conf_node *at, const char *path,
                          struct kv_slice text);

/* Checks an origin as browsers send it, `scheme://host[:port]` or `null`, or a pattern. */
void kv_origin_check(struct kv_conf *conf, const struct kv_conf_node *at, const char *path,
                     struct kv_slice text);

#endif
