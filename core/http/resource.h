/*
 * A resource serves a path, or the paths below it. All resources are declared here, with one file
 * each; serve.c has the table.
 */
#ifndef KV_HTTP_RESOURCE_H
#define KV_HTTP_RESOURCE_H

#include "http/exchange.h"

/* Constant. */
struct kv_resource {
    struct kv_slice path; /* the whole path, or its beginning if it ends in a slash */
    bool is_prefix;
    uint32_t methods; /* a set of enum kv_method; OPTIONS is answered without the resource */
    bool keeps; /* requests need memory of their own, or the connection: the fast path leaves them
                   to libh2o */
    bool is_probe;  /* not limited by rates */
    bool is_open;   /* needs no rights */
    uint32_t admin; /* the rights needed (enum kv_admin_right) */
    bool upgrades;  /* a GET may upgrade the connection to a WebSocket */
    /* Called for requests that have passed all checks; the struct is lent for the call. */
    void (*serve)(struct kv_exchange *exchange, const struct kv_request *request);
    /* Called for requests that have passed the checks, before their body has arrived. Returns: true
     * if the client may not do this, whatever the body contains; then it has answered with the
     * refusal. NULL: at this point only clients without any right are refused. */
    bool (*refuse)(struct kv_exchange *exchange, const struct kv_request *request);
};

#define KV_STORAGE_PATH "/storage/"

extern const struct kv_resource kv_resource_storage;   /* storage.c */
extern const struct kv_resource kv_resource_list;      /* list.c */
extern const struct kv_resource kv_resource_batch;     /* batch.c */
extern const struct kv_resource kv_resource_events;    /* events.c */
extern const struct kv_resource kv_resource_root;      /* root.c */
extern const struct kv_resource kv_resource_health;    /* health.c */
extern const struct kv_resource kv_resource_readiness; /* health.c */
extern const struct kv_resource kv_resource_websocket; /* websocket.c */
extern const struct kv_resource kv_resource_metrics;   /* metrics.c */
extern const struct kv_resource kv_resource_pages;     /* pages.c: for all other paths */
extern const struct kv_resource kv_resource_backup;    /* backup.c */
extern const struct kv_resource kv_resource_clients;   /* clients.c */
extern const struct kv_resource kv_resource_slow_log;  /* slow_log.c */
extern const struct kv_resource kv_resource_restore;   /* restore.c */
extern const struct kv_resource kv_resource_cluster;   /* cluster.c */

#endif
