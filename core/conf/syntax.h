/*
 * What the parser of YAML says, in the words of somebody who only wants to write a configuration.
 */
#ifndef KV_CONF_SYNTAX_H
#define KV_CONF_SYNTAX_H

#include "conf/tree.h"

/* As libyaml gives it. */
struct kv_syntax_error {
    const char *problem;
    const char *context; /* NULL: none */
    struct kv_conf_mark problem_mark, context_mark;
};

/* Notes it as a fault of the configuration, whose text this is. Returns: -1. */
int kv_syntax_fault(struct kv_conf *conf, struct kv_slice text,
                    const struct kv_syntax_error *error);

#endif
