/*
 * What a module finds wrong with its options beyond its schema.
 */
#ifndef KV_CONF_FINDINGS_H
#define KV_CONF_FINDINGS_H

#include <kvserver/check.h>

#include "conf/check.h"

/* Has the module look at the values that kv_conf_check() gave for the block, and notes what it
 * finds, each fault at its option. check: NULL where it has none. is_faulty: the block has faults
 * already; then there is nothing more to say of those options, nor of what is not given. Returns:
 * 0; -1 where it found something. */
int kv_conf_take_findings(struct kv_conf *conf, const struct kv_conf_block *block, bool is_faulty,
                          kv_check_fn check, const struct kv_option_value *values);

#endif
