/* `kvctl clients`: the open connections. */
#ifndef KV_KVCTL_CLIENTS_H
#define KV_KVCTL_CLIENTS_H

#include "kvctl/verb.h"

int kv_ctl_clients_run(struct kv_ctl_call *call);

#endif
