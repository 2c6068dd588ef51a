/*
 * The number of processors that the process may keep busy.
 */
#ifndef KV_DAEMON_CPUS_H
#define KV_DAEMON_CPUS_H

#include <stdint.h>

/* The processors that it may run on, but no more than the quotas of its control groups permit,
 * rounded up; at least 1.
 * root: a prefix of all paths, such as `/proc/self/cgroup`; "" for the system's own. */
uint32_t kv_cpus_count(const char *root);

/* The limit by quotas only. Returns: 0 if there is none. */
uint32_t kv_cpus_quota(const char *root);

#endif
