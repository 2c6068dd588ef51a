/*
 * Pages of keys, on the writer's thread.
 */
#ifndef KV_DURABLE_SCAN_H
#define KV_DURABLE_SCAN_H

#include "base.h"

void scan_fill(const struct base *base, struct kv_scan *scan);
void scan_fail(struct kv_scan *scan, enum kv_status why);

#endif
