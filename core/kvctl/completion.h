/* `kvctl completion bash|zsh|fish`: a script with which a shell completes kvctl's command lines,
 * generated from the tables of verbs and options. */
#ifndef KV_KVCTL_COMPLETION_H
#define KV_KVCTL_COMPLETION_H

#include "kvctl/verb.h"

int kv_ctl_completion_run(struct kv_ctl_call *call);

#endif
