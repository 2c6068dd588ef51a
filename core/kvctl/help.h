/* `kvctl --help`, `kvctl help VERB`, `kvctl VERB --help`: from the tables of verbs and options. */
#ifndef KV_KVCTL_HELP_H
#define KV_KVCTL_HELP_H

#include "kvctl/verb.h"

/* Prints the help of the whole program. */
void kv_ctl_help(const struct kv_ctl_verb *verbs, FILE *out);

/* Prints the help of one verb. */
void kv_ctl_help_verb(const struct kv_ctl_verb *verb, FILE *out);

int kv_ctl_help_run(struct kv_ctl_call *call);

/* Returns: NULL if there is no such verb, which has been reported. */
const struct kv_ctl_verb *kv_ctl_find_verb(const struct kv_ctl_verb *verbs, const char *name);

#endif
