/*
 * Lists of objects that the server reports about itself: `{"NAME": [{…}, …], "cursor"?: "…"}`.
 */
#ifndef KV_KVCTL_OBJECTS_H
#define KV_KVCTL_OBJECTS_H

#include "kvctl/table.h"
#include "kvctl/verb.h"

struct kv_ctl_objects {
    const char *path; /* if there are pages, with a query to which `&cursor=…` can be appended */
    struct kv_slice name;
    const struct kv_ctl_column *columns;
    size_t n_columns;
};

/* Requests all pages, and prints the objects: as a table, as JSON, or the answers unchanged.
 * Returns: the exit code; failures have been reported. */
int kv_ctl_objects_run(struct kv_ctl_call *call, const struct kv_ctl_objects *objects);

#endif
