/*
 * The HTTP server: routes, and the storage resource. One struct kv_http
 * for the process, one struct kv_http_loop for each event loop.
 */
#ifndef KV_HTTP_HTTP_H
#define KV_HTTP_HTTP_H

#include <kvserver/types.h>

#include "keyspace/keyspace.h"
#include "loop/loop.h"
#include "loop/worker.h"
#include "net/net.h"

struct kv_http;
struct kv_http_loop;

struct kv_http_config {
    size_t max_key_bytes;
    size_t max_value_bytes;
    uint32_t max_depth;             /* of a value: what it stands in is not counted */
    uint32_t max_pending;           /* commands of one connection: then it is not read on */
    size_t max_unsent_bytes;        /* the same */
    bool has_front;                 /* simple requests are served in front of libh2o (front.h) */
    const struct kv_slice *origins; /* besides those of this machine */
    size_t n_origins;
};

/* Serves the connections of the net. Lent until kv_http_destroy(): net, keyspace, worker, loops,
 * and what config points to. */
struct kv_http *kv_http_create(const struct kv_http_config *config, struct kv_net *net,
                               struct kv_keyspace *keyspace, struct kv_worker *worker,
                               struct kv_loop *const *loops, uint32_t n_loops);

/* Ends service, on a loop's own thread and after kv_net_drain(): connections with a request are
 * closed when it is answered. */
void kv_http_drain(struct kv_http *http, uint32_t loop);

/* After the loops have ended. */
void kv_http_destroy(struct kv_http *http);

#endif
