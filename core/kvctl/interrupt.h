/*
 * SIGINT, SIGTERM and SIGHUP, for verbs that clean up before they end: they remove an incomplete
 * file, or report their progress. Other verbs are simply ended by the signal.
 */
#ifndef KV_KVCTL_INTERRUPT_H
#define KV_KVCTL_INTERRUPT_H

#include <stdbool.h>

/* From now on these signals are noted. Blocking calls return with EINTR. */
void kv_ctl_interrupt_catch(void);

bool kv_ctl_is_interrupted(void);

/* Readable once interrupted; -1 while signals are not noted. */
int kv_ctl_interrupt_fd(void);

/* Ends the process by the signal that was noted, as its parent expects (a shell stops its script,
 * for example). Returns if there was none. */
void kv_ctl_interrupt_obey(void);

#endif
