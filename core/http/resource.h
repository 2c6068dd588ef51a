/*
 * A resource: what is at a path, or below it. All of them are here, one in each file; serve.c has
 * the table.
 */
#ifndef KV_HTTP_RESOURCE_H
#define KV_HTTP_RESOURCE_H

#include "http/exchange.h"

/* Constant. */
struct kv_resource {
    struct kv_slice path; /* the whole path, or what it begins with where it ends in a slash */
    bool is_prefix;
    uint32_t methods; /* a set of enum kv_method; OPTIONS is answered without the resource */
    bool keeps;     /* requests need memory of their own, or the connection: the fast path does not
                       carry them */
    bool is_probe;  /* no rate limits it */
    bool is_open;   /* to everybody, whoever they are */
    uint32_t admin; /* the rights that it takes (enum kv_admin_right) */
    bool upgrades;  /* a GET may turn the connection into a WebSocket */
    /* The request has passed all checks; the struct itself is lent for the call. */
    void (*serve)(struct kv_exchange *exchange, const struct kv_request *request);
    /* Called when the request has passed the checks, before its body has arrived. Returns: true if
     * the client may not do this, whatever the body is; then the refusal has been answered. NULL:
     * only clients without any right are refused at this point. */
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
extern const struct kv_resource kv_resource_pages;     /* pages.c: at every other path */
extern const struct kv_resource kv_resource_backup;    /* backup.c */
extern const struct kv_resource kv_resource_clients;   /* clients.c */
extern const struct kv_resource kv_resource_slow_log;  /* slow_log.c */
extern const struct kv_resource kv_resource_restore;   /* restore.c */
extern const struct kv_resource kv_resource_cluster;   /* cluster.c */

#endif
