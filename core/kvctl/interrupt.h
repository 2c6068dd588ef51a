/*
 * SIGINT, SIGTERM and SIGHUP, for verbs that clean up before they end: they remove an incomplete
 * file, or report their progress. Other verbs are simply terminated by the signal.
 */
#ifndef KV_KVCTL_INTERRUPT_H
#define KV_KVCTL_INTERRUPT_H

#include <stdbool.h>

/* From now on these signals are caught and recorded. Blocking calls return with EINTR. */
void kv_ctl_interrupt_catch(void);

bool kv_ctl_is_interrupted(void);

/* Readable once a signal has come; -1 while signals are not caught. */
int kv_ctl_interrupt_fd(void);

/* Terminates the process with the signal that was recorded, as its parent expects (a shell stops
 * its script, for example). Returns if there was none. */
void kv_ctl_interrupt_obey(void);

#endif
