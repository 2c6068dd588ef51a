/* `kvctl restore FILE`: writes a backup into a running server. */
#ifndef KV_KVCTL_RESTORE_H
#define KV_KVCTL_RESTORE_H

#include "kvctl/verb.h"

int kv_ctl_restore_run(struct kv_ctl_call *call);

#endif
