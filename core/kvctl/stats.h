/* `kvctl stats`: the server's metrics. */
#ifndef KV_KVCTL_STATS_H
#define KV_KVCTL_STATS_H

#include "kvctl/verb.h"

int kv_ctl_stats_run(struct kv_ctl_call *call);

#endif
