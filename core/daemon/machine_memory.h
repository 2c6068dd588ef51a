/*
 * The amount of memory that the process may use.
 */
#ifndef KV_DAEMON_MACHINE_MEMORY_H
#define KV_DAEMON_MACHINE_MEMORY_H

#include <stdint.h>

/* In bytes: the memory of the machine, or the lowest limit of the process's control groups if that
 * is less. Returns: 0 if the system does not report it.
 * root: as of kv_groups_visit(). */
uint64_t kv_machine_memory(const char *root);

#endif
