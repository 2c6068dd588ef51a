/*
 * Faults that a module finds in its options beyond its schema.
 */
#ifndef KV_CONF_FINDINGS_H
#define KV_CONF_FINDINGS_H

#include <kvserver/check.h>

#include "conf/check.h"

/* Has the module check the values that kv_conf_check() gave for the block, and notes each fault at
 * its option. check: NULL if the module has none. is_faulty: the block has faults already; then
 * faults of those options, and of options that are not given, are ignored. Returns: 0; -1 if it
 * found a fault. */
int kv_conf_take_findings(struct kv_conf *conf, const struct kv_conf_block *block, bool is_faulty,
                          kv_check_fn check, const struct kv_option_value *values);

#endif
