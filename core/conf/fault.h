/*
 * Notes of what is wrong with a file, kept in the configuration.
 */
#ifndef KV_CONF_FAULT_H
#define KV_CONF_FAULT_H

#include "conf/tree.h"

/* Notes a fault of that mark (all zero: of the file as a whole). Returns: -1. */
int kv_conf_fault_mark(struct kv_conf *conf, struct kv_conf_mark mark, const char *format, ...)
    KV_PRINTF(3, 4);

#endif
