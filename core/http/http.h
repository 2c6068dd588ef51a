/*
 * The HTTP server. One struct kv_http for the process.
 */
#ifndef KV_HTTP_HTTP_H
#define KV_HTTP_HTTP_H

#include "access/access.h"
#include "admin/backups.h"
#include "admin/uploads.h"
#include "events/events.h"
#include "http/config.h"
#include "http/lists.h"
#include "keyspace/keyspace.h"
#include "loop/workers.h"
#include "net/net.h"

struct kv_http;

/* The parts of a server. Lent until kv_http_destroy(). */
struct kv_http_parts {
    struct kv_net *net; /* its connections are served */
    struct kv_access *access;
    struct kv_keyspace *keyspace;
    struct kv_workers *workers;
    struct kv_http_upgrade *upgrade;
    struct kv_events *events;
    struct kv_backups *backups;
    struct kv_uploads *uploads;
    struct kv_slow_log *slow_log;
    const struct kv_request_log *request_log; /* NULL: none */
    const struct kv_readiness *readiness;
    const struct kv_metrics *metrics;
    struct kv_pages *pages; /* an application's; NULL: none */
    struct kv_loop *const *loops;
    uint32_t n_loops;
};

/* Lent until kv_http_destroy(): everything that config points to. */
struct kv_http *kv_http_create(const struct kv_http_config *config,
                               const struct kv_http_parts *parts);

/* Writes its metrics. Threads: any. */
void kv_http_collect(const struct kv_http *http, struct kv_metrics_text *text);

/* The loop has taken up other rules of access. On the loop's own thread. */
void kv_http_revise(struct kv_http *http, uint32_t loop);

/* The loop uses these lists from now on, and takes them over. On its own thread. */
void kv_http_take_lists(struct kv_http *http, uint32_t loop, struct kv_http_lists *lists);

/* The same for limits, which are copied. Requests in progress keep the old limits. */
void kv_http_take_limits(struct kv_http *http, uint32_t loop, const struct kv_http_limits *limits);

/* Ends service. On a loop's own thread and after kv_net_drain(): connections with a request are
 * closed when it has been answered. */
void kv_http_drain(struct kv_http *http, uint32_t loop);

/* Call after the loops have ended. Accepts NULL. */
void kv_http_destroy(struct kv_http *http);

#endif
