/*
 * Messages of kvctl to its user, on standard error.
 */
#ifndef KV_KVCTL_SAY_H
#define KV_KVCTL_SAY_H

#include <kvserver/types.h>

#include "kvctl/exit_code.h"

/* Prints a line: `kvctl: …`. Control characters in it, which may come from a server or a key,
 * become `?`, so that they cannot control the terminal. */
void kv_ctl_say(const char *format, ...) KV_PRINTF(1, 2);

/* The same, and returns the exit code, so that `return kv_ctl_fail(…)` ends a verb. */
int kv_ctl_fail(enum kv_ctl_exit code, const char *format, ...) KV_PRINTF(2, 3);

/* The length of the character at the front of `text` (not empty, any bytes) if a terminal would
 * take it for a control character: C0, DEL or C1; 0 if it is an ordinary one. */
size_t kv_ctl_control_len(struct kv_slice text);

#endif
