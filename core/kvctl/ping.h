/* `kvctl ping`: checks whether a server can be reached and serves, and how long its answer
 * takes. */
#ifndef KV_KVCTL_PING_H
#define KV_KVCTL_PING_H

#include "kvctl/verb.h"

int kv_ctl_ping_run(struct kv_ctl_call *call);

#endif
