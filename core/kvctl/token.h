/* `kvctl token`: a new token, and the entry for the server's configuration. */
#ifndef KV_KVCTL_TOKEN_H
#define KV_KVCTL_TOKEN_H

#include "kvctl/verb.h"

int kv_ctl_token_run(struct kv_ctl_call *call);

#endif
