/*
 * Runs the hook of a call.
 */
#ifndef KV_SCRIPT_RUN_H
#define KV_SCRIPT_RUN_H

#include "script/call.h"

enum kv_call_state {
    KV_CALL_WAITS, /* for the outcome of its request */
    KV_CALL_DONE,
    KV_CALL_REFUSED, /* by kv.refuse() */
    KV_CALL_FAILED
};

/* Begins the hook, or continues it with the outcome of its request.
 * ret_why: the fault, or the reason of a refusal. */
enum kv_call_state kv_call_start(struct kv_script_call *call, struct kv_error *ret_why);
enum kv_call_state kv_call_resume(struct kv_script_call *call, const struct kv_outcome *outcome,
                                  struct kv_error *ret_why);

/* Frees its coroutine. */
void kv_call_drop_coroutine(struct kv_script_call *call);

#endif
