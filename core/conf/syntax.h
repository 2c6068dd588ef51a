/*
 * Error messages of the YAML parser, in words for people who do not know YAML's grammar.
 */
#ifndef KV_CONF_SYNTAX_H
#define KV_CONF_SYNTAX_H

#include "conf/tree.h"

/* An error as reported by libyaml. */
struct kv_syntax_error {
    const char *problem;
    const char *context; /* NULL: none */
    struct kv_conf_mark problem_mark, context_mark;
};

/* Notes it as a fault of the configuration, which was read from this text. Returns: -1. */
int kv_syntax_fault(struct kv_conf *conf, struct kv_slice text,
                    const struct kv_syntax_error *error);

#endif
