/*
 * The metrics of all scripts.
 */
#ifndef KV_SCRIPT_METRICS_H
#define KV_SCRIPT_METRICS_H

#include "base/metrics.h"

struct kv_scripts;

/* Writes them. Threads: any. */
void kv_scripts_collect(const struct kv_scripts *scripts, struct kv_metrics_text *text);

#endif
