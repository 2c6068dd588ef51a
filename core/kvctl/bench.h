/* `kvctl bench get|set|watch`: measures how fast a server is for its clients. */
#ifndef KV_KVCTL_BENCH_H
#define KV_KVCTL_BENCH_H

#include "kvctl/verb.h"

int kv_ctl_bench_run(struct kv_ctl_call *call);

#endif
