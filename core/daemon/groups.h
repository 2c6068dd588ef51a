/*
 * The control groups of the process: its own group, and all above it up to the root of the mount,
 * as a limit of a group applies to all groups below it.
 */
#ifndef KV_DAEMON_GROUPS_H
#define KV_DAEMON_GROUPS_H

#include <stdbool.h>

/* folder: of the group; is_v2: it belongs to version 2 of control groups, whose files have other
 * names. */
typedef void (*kv_group_fn)(void *user, const char *folder, bool is_v2);

/* Calls `visit` for each group of a controller (`cpu`, `memory`) that the process is in.
 * root: a prefix of all paths, such as `/proc/self/cgroup`; "" for the system's own. */
void kv_groups_visit(const char *root, const char *controller, kv_group_fn visit, void *user);

/* Reads the numbers at the beginning of a group's file. Returns: how many of `n` were read; `max`
 * is not a number. */
int kv_group_read(const char *folder, const char *name, long long *ret, int n);

#endif
