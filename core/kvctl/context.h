/* `kvctl context add|use|ls|rm`: manages contexts: named servers with their tokens. */
#ifndef KV_KVCTL_CONTEXT_H
#define KV_KVCTL_CONTEXT_H

#include "kvctl/verb.h"

int kv_ctl_context_run(struct kv_ctl_call *call);

#endif
