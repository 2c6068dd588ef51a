/*
 * Lists of objects that the server tells about itself: `{"NAME": [{…}, …], "cursor"?: "…"}`.
 */
#ifndef KV_KVCTL_OBJECTS_H
#define KV_KVCTL_OBJECTS_H

#include "kvctl/table.h"
#include "kvctl/verb.h"

struct kv_ctl_objects {
    const char *path; /* with a query to which `&cursor=…` may be added, if it has pages */
    struct kv_slice name;
    const struct kv_ctl_column *columns;
    size_t n_columns;
};

/* Asks for all pages, and prints what they list: a table for people, the objects as JSON, or the
 * answers as they are. Returns: the exit code, told. */
int kv_ctl_objects_run(struct kv_ctl_call *call, const struct kv_ctl_objects *objects);

#endif
