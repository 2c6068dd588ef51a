/*
 * kv.update()
 */
#ifndef KV_SCRIPT_UPDATER_H
#define KV_SCRIPT_UPDATER_H

#include "script/call.h"

/* Takes the call up; its resume() will bring the edit for its function to be applied to, perhaps
 * several times, perhaps that for the value to be written, and in the end what it came to. */
void kv_updater_add(struct kv_script_call *call);

/* The call has done what it was resumed with an edit for. */
void kv_updater_answer(struct kv_script_call *call);

/* Frees the loop's updaters that were still pausing when the server ended; their calls are gone. */
void kv_updaters_fini(struct kv_script_loop *here);

#endif
