/*
 * The shared data of resources and carriers on one loop.
 */
#ifndef KV_HTTP_CONTEXT_H
#define KV_HTTP_CONTEXT_H

#include "access/access.h"
#include "admin/backups.h"
#include "admin/uploads.h"
#include "base/metrics.h"
#include "events/events.h"
#include "http/config.h"
#include "http/host.h"
#include "http/refused_origins.h"
#include "keyspace/keyspace.h"
#include "loop/workers.h"
#include "net/net.h"
#include "pages/pages.h"
#include "protocol/request_log.h"

enum {
    KV_HTTP_STATUSES = 600
};

/* Counts for metrics. */
struct kv_http_counts {
    struct kv_counter answers[KV_HTTP_STATUSES]; /* by status */
};

struct kv_http_context {
    const struct kv_http_config *config;
    struct kv_net *net;
    struct kv_loop *loop;
    struct kv_access_loop *access;
    struct kv_keyspace *keyspace;
    struct kv_keyspace_loop *keyspace_loop;
    struct kv_workers *workers;
    struct kv_http_upgrade *upgrade;
    struct kv_events *events;
    struct kv_backups *backups;
    struct kv_uploads *uploads;
    struct kv_slow_log *slow_log;
    const struct kv_readiness *readiness; /* NULL: nothing to report */
    const struct kv_metrics *metrics;     /* of the whole server */
    struct kv_pages *pages; /* served at paths that are not the server's own; NULL: none */
    struct kv_http_counts counts;
    struct kv_request_lot lot;
    struct kv_loop *const *loops; /* all loops */
    uint32_t n_loops;
    uint32_t index; /* of the loop */
    struct kv_refused_origins *refused_origins;
    struct kv_last_host served_host;
    struct kv_buffer decoded; /* for the key of the current request */
    struct kv_buffer text;    /* for the error of the current answer */
};

static inline bool kv_http_is_draining(const struct kv_http_context *here)
{
    return kv_net_is_draining(here->net);
}

/* Whether requests for keys can be served at present. */
static inline bool kv_http_is_ready(const struct kv_http_context *here)
{
    return !kv_http_is_draining(here) && kv_keyspace_is_ready(here->keyspace);
}

#endif
