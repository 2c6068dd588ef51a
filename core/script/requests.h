/*
 * What hooks ask of the keyspace.
 */
#ifndef KV_SCRIPT_REQUESTS_H
#define KV_SCRIPT_REQUESTS_H

#include "script/call.h"

/* Does what the call waits for; its resume() will bring the outcome. */
void kv_request_send(struct kv_script_call *call);

#endif
