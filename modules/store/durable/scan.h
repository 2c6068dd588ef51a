/*
 * Pages of keys, in byte order: the engine's rows, overlaid with the changes that it lacks
 * (overlay.h). So a page waits neither for the writer nor for the applier.
 *
 * Threads: any that may wait for the disk.
 */
#ifndef KV_DURABLE_SCAN_H
#define KV_DURABLE_SCAN_H

#include "base.h"

void scan_fill(const struct base *base, struct kv_scan *scan);
void scan_fail(struct kv_scan *scan, enum kv_status why);

#endif
