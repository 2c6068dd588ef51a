/* `kvctl watch KEY…`, `kvctl watch --prefix PREFIX`: changes as they happen, including those made
 * while the connection was broken. */
#ifndef KV_KVCTL_WATCH_H
#define KV_KVCTL_WATCH_H

#include "kvctl/verb.h"

int kv_ctl_watch_run(struct kv_ctl_call *call);

#endif
