/*
 * Requests of hooks to the keyspace.
 */
#ifndef KV_SCRIPT_REQUESTS_H
#define KV_SCRIPT_REQUESTS_H

#include "script/call.h"

/* Sends the call's request; its resume() will get the outcome. */
void kv_request_send(struct kv_script_call *call);

#endif
