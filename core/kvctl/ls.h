/* `kvctl ls [PREFIX]`: keys. */
#ifndef KV_KVCTL_LS_H
#define KV_KVCTL_LS_H

#include "kvctl/verb.h"

int kv_ctl_ls_run(struct kv_ctl_call *call);

#endif
