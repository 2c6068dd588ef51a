/* `kvctl cluster`: the partitions of a store that several servers share. */
#ifndef KV_KVCTL_CLUSTER_H
#define KV_KVCTL_CLUSTER_H

#include "kvctl/verb.h"

int kv_ctl_cluster_run(struct kv_ctl_call *call);

#endif
