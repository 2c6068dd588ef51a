/* `kvctl backup FILE`: the whole store of a running server, as of one revision. */
#ifndef KV_KVCTL_BACKUP_H
#define KV_KVCTL_BACKUP_H

#include "kvctl/verb.h"

int kv_ctl_backup_run(struct kv_ctl_call *call);

#endif
