/* `kvctl slowlog`: the latest slow commands. */
#ifndef KV_KVCTL_SLOWLOG_H
#define KV_KVCTL_SLOWLOG_H

#include "kvctl/verb.h"

int kv_ctl_slowlog_run(struct kv_ctl_call *call);

#endif
