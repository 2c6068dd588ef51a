/*
 * Log lines of hooks, at a limited rate.
 */
#ifndef KV_SCRIPT_LOG_H
#define KV_SCRIPT_LOG_H

#include "base/log.h"
#include "script/call.h"

/* Writes a line for kv.log(). */
void kv_script_log(struct kv_script_loop *here, enum kv_log_level level, const char *text);

/* Logs that a call has failed. */
void kv_script_log_fault(struct kv_script_call *call, const char *fault);

#endif
