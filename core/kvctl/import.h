/* `kvctl import [FILE]`: writes JSON lines, as `kvctl export` and `kvserver --export` print them,
 * into a running server. */
#ifndef KV_KVCTL_IMPORT_H
#define KV_KVCTL_IMPORT_H

#include "kvctl/verb.h"

int kv_ctl_import_run(struct kv_ctl_call *call);

#endif
