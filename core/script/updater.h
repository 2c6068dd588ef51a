/*
 * kv.update()
 */
#ifndef KV_SCRIPT_UPDATER_H
#define KV_SCRIPT_UPDATER_H

#include "script/call.h"

/* Takes the call over. Its resume() gets the edit to apply its function to, possibly several times,
 * possibly once more to write the value, and at the end the outcome. */
void kv_updater_add(struct kv_script_call *call);

/* The call has done its step of the edit. */
void kv_updater_answer(struct kv_script_call *call);

/* Frees the loop's updaters that were still pausing when the server ended; their calls no longer
 * exist. */
void kv_updaters_fini(struct kv_script_loop *here);

#endif
