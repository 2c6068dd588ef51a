/* `kvctl export [PREFIX]`: keys as JSON lines, which `kvctl import` and `kvserver --import` read.
 */
#ifndef KV_KVCTL_EXPORT_H
#define KV_KVCTL_EXPORT_H

#include "kvctl/verb.h"

int kv_ctl_export_run(struct kv_ctl_call *call);

#endif
