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

/* Of the loop, whose calls have gone: those that were giving way when the server ended. */
void kv_updaters_fini(struct kv_script_loop *here);

#endif
