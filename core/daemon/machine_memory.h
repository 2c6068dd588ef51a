/*
 * How much memory the process may use.
 */
#ifndef KV_DAEMON_MACHINE_MEMORY_H
#define KV_DAEMON_MACHINE_MEMORY_H

#include <stdint.h>

/* Bytes: the memory of the machine, or the lowest limit of the process's control groups where that
 * is less. Returns: 0 where the system does not say.
 * root: as of kv_groups_visit(). */
uint64_t kv_machine_memory(const char *root);

#endif
