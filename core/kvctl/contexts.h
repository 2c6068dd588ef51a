/* `kvctl context add|use|ls|rm`: servers with their tokens under a name. */
#ifndef KV_KVCTL_CONTEXTS_H
#define KV_KVCTL_CONTEXTS_H

#include "kvctl/verb.h"

int kv_ctl_contexts_run(struct kv_ctl_call *call);

#endif
