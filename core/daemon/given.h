/*
 * The given parts of the configuration: values and nodes by the names of the schema.
 */
#ifndef KV_DAEMON_GIVEN_H
#define KV_DAEMON_GIVEN_H

#include "conf/conf.h"
#include "daemon/settings.h"

/* place: from an enum of schema.h. */
static inline const struct kv_option_value *kv_given_field(const struct kv_option_value *block,
                                                           int place)
{
    return &block->list.items[place];
}

/* The node of a top-level key of the file. Returns: NULL if it is not given. */
static inline const struct kv_conf_node *kv_given_node(const struct kv_config *config,
                                                       const char *name)
{
    return kv_conf_node_find(kv_conf_root(config->conf), name);
}

#endif
