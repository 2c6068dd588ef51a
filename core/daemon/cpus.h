/*
 * How many processors the process may keep busy.
 */
#ifndef KV_DAEMON_CPUS_H
#define KV_DAEMON_CPUS_H

#include <stdint.h>

/* Those it may run on, but no more than the quotas of its control groups give it time for, rounded
 * up; at least 1.
 * root: what stands before every path, as `/proc/self/cgroup`; "" for the system's own. */
uint32_t kv_cpus_count(const char *root);

/* The quotas alone. Returns: 0 where there is none. */
uint32_t kv_cpus_quota(const char *root);

#endif
