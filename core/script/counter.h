/*
 * kv.incr()
 */
#ifndef KV_SCRIPT_COUNTER_H
#define KV_SCRIPT_COUNTER_H

#include "script/call.h"

/* Takes the call over; its resume() will get the outcome. */
void kv_counter_take_up(struct kv_script_call *call);

#endif
