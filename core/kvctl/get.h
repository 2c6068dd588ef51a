/* `kvctl get KEY…`: values. */
#ifndef KV_KVCTL_GET_H
#define KV_KVCTL_GET_H

#include "kvctl/verb.h"

int kv_ctl_get_run(struct kv_ctl_call *call);

#endif
