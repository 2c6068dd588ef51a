/*
 * Reading a configuration from a file.
 */
#ifndef KV_CONF_LOAD_H
#define KV_CONF_LOAD_H

#include <kvserver/types.h>

struct kv_conf;

/* Reads and parses a file. *ret_conf is set in any case, and bears the faults.
 * Relative paths in it count from the file's folder; where it is no regular file (a pipe), from the
 * working directory. Owns: the caller, by kv_conf_destroy().
 * Returns: 0; -1 where it could not be read to its end: then the tree is empty. */
int kv_conf_load(const char *path, struct kv_conf **ret_conf);

#endif
