/* `kvctl ttl KEY`: the remaining time to live, in milliseconds. */
#ifndef KV_KVCTL_TTL_H
#define KV_KVCTL_TTL_H

#include "kvctl/verb.h"

int kv_ctl_ttl_run(struct kv_ctl_call *call);

#endif
