/* `kvctl ping`: whether a server is there and serves, and how long it takes to say so. */
#ifndef KV_KVCTL_PING_H
#define KV_KVCTL_PING_H

#include "kvctl/verb.h"

int kv_ctl_ping_run(struct kv_ctl_call *call);

#endif
