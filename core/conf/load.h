/*
 * Reading a configuration from a file.
 */
#ifndef KV_CONF_LOAD_H
#define KV_CONF_LOAD_H

#include <kvserver/types.h>

struct kv_conf;

/* Reads and parses a file. *ret_conf is set in any case, and has the faults. Relative paths in it
 * are resolved against the file's folder; if it is not a regular file (a pipe), against the working
 * directory. Owns: the caller, by kv_conf_destroy().
 * Returns: 0; -1 if it could not be read to its end: then the tree is empty. */
int kv_conf_load(const char *path, struct kv_conf **ret_conf);

#endif
