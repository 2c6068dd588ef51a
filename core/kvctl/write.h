/* The verbs that write one key: `set`, `touch`, `incr` and `merge`; and `del`, which takes several
 * keys. */
#ifndef KV_KVCTL_WRITE_H
#define KV_KVCTL_WRITE_H

#include "kvctl/verb.h"

int kv_ctl_set_run(struct kv_ctl_call *call);
int kv_ctl_touch_run(struct kv_ctl_call *call);
int kv_ctl_incr_run(struct kv_ctl_call *call);
int kv_ctl_merge_run(struct kv_ctl_call *call);
int kv_ctl_del_run(struct kv_ctl_call *call);

#endif
