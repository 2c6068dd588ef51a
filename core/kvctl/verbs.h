/*
 * The table of verbs.
 */
#ifndef KV_KVCTL_VERBS_H
#define KV_KVCTL_VERBS_H

#include "kvctl/verb.h"

/* The entry after the last has no name. */
extern const struct kv_ctl_verb kv_ctl_verbs[];

#endif
